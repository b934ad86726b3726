"""A command from Sanic: uvicorn sanic_app:app, then curl -N -L -d "" localhost:8000/build"""

import asyncio

from sanic import Sanic, response

from runcast.web.asgi import RunsASGI
from runcast.web.responder import by_id_alone

runs = RunsASGI(authorize=by_id_alone)
site = Sanic("site")


@site.post("/build")
async def build(request):
    run = await asyncio.to_thread(runs.start, ["make"])
    return response.redirect(f"/runs/{run.id}/log", status=303)


app = runs.beside(site)
