"""A command in an aiohttp application: python app.py, then localhost:8080/stream"""

import sys

from aiohttp import web
from runcast_aiohttp import Runcast

COUNT = "for (( i = 0; i < 100; i++ )); do echo $i; sleep 1; done"

app = web.Application()
cast = Runcast().mount(app)


async def stream(request):
    return await cast.stream(request, ["bash", "-c", COUNT], interval=5)


def numbers(request):
    """Yield values: they are streamed as they come."""
    yield from range(int(request.query.get("to", "10")))


app.add_routes([web.get("/stream", stream), web.get("/numbers", cast.streamed(numbers))])

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
