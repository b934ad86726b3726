"""A command as a view of aiohttp, with the adapter of the docs."""

import sys
from pathlib import Path

from aiohttp import web
from runcast_aiohttp import Runcast

FOLDER = Path(__file__).parent


async def stream(request):
    return await cast.stream(request, ["bash", "steps.sh"], cwd=FOLDER)


async def silent(request):
    return await cast.stream(request, ["sleep", "600"])


app = web.Application()
cast = Runcast().mount(app)
app.add_routes([web.get("/stream", stream), web.get("/silent", silent)])
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
