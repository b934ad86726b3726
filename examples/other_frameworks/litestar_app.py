"""A command from Litestar: uvicorn litestar_app:app, then curl -N -L -d "" localhost:8000/build"""

import asyncio

from litestar import Litestar, post
from litestar.response import Redirect

from runcast.web.asgi import RunsASGI
from runcast.web.responder import by_id_alone

runs = RunsASGI(authorize=by_id_alone)


@post("/build", status_code=303)
async def build() -> Redirect:
    run = await asyncio.to_thread(runs.start, ["make"])
    return Redirect(f"/runs/{run.id}/log", status_code=303)


app = runs.beside(Litestar([build]))
