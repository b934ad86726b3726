"""A command as a view of Starlette."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from runcast.web.starlette import Runcast

FOLDER = Path(__file__).parent


async def stream(request):
    return cast.stream(["bash", "steps.sh"], cwd=FOLDER)


async def silent(request):
    return cast.stream(["sleep", "600"])


app = Starlette(routes=[Route("/stream", stream), Route("/silent", silent)])
cast = Runcast(app)
