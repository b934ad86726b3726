"""What an adapter offers, in aiohttp, with the adapter of the docs."""

import sys

from aiohttp import web
from common import OPTIONS, job
from runcast_aiohttp import Runcast

app = web.Application()
cast = Runcast(**OPTIONS).mount(app, "/tools")


def count(request):
    yield from range(3)


async def work(request):
    return await cast.stream(request, job, 2)


async def shared(request):
    return await cast.stream(request, ["bash", "-c", "echo $$"], key="shared")


async def begin(request):
    return web.Response(text=cast.start_command("greet").id)


app.add_routes(
    [
        web.get("/count", cast.streamed(count)),
        web.get("/job", work),
        web.get("/shared", shared),
        web.post("/begin", begin),
    ]
)
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
