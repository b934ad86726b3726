"""What an adapter offers, in Starlette."""

from common import OPTIONS, job
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from runcast.web.starlette import Runcast

app = Starlette()
cast = Runcast(app, prefix="/tools", **OPTIONS)


@cast.stream
def count(request):
    yield from range(3)


async def work(request):
    return cast.stream(job, 2)


def shared(request):
    return cast.stream(["bash", "-c", "echo $$"], key="shared")


def begin(request):
    return PlainTextResponse(cast.start_command("greet").id)


app.add_route("/count", count)
app.add_route("/job", work)
app.add_route("/shared", shared)
app.add_route("/begin", begin, methods=["POST"])
