"""A command from Quart: hypercorn quart_app:app, then curl -N -L -d "" localhost:8000/build"""

import asyncio

from quart import Quart, redirect

from runcast.web.asgi import RunsASGI
from runcast.web.responder import by_id_alone

app = Quart(__name__)
runs = RunsASGI(authorize=by_id_alone)
app.asgi_app = runs.beside(app.asgi_app)


@app.post("/build")
async def build():
    run = await asyncio.to_thread(runs.start, ["make"])
    return redirect(f"/runs/{run.id}/log", 303)
