"""A command as a view of FastAPI."""

from pathlib import Path

from fastapi import FastAPI

from runcast.web.starlette import Runcast

FOLDER = Path(__file__).parent

app = FastAPI()
cast = Runcast(app)


@app.get("/stream")
async def stream():
    return cast.stream(["bash", "steps.sh"], cwd=FOLDER)


@app.get("/silent")
def silent():
    return cast.stream(["sleep", "600"])
