"""A command from FastAPI: uvicorn fastapi_app:app, then curl -N -L -d "" localhost:8000/build"""

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from runcast.web.asgi import RunsASGI
from runcast.web.responder import by_id_alone

app = FastAPI()
runs = RunsASGI(authorize=by_id_alone)
app.mount("/tools", runs)


@app.post("/build")
def build():
    run = runs.start(["make"])
    return RedirectResponse(f"/tools/runs/{run.id}/log", 303)
