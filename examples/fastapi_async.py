"""Prints of an async function, and a program to talk to: python fastapi_async.py, then localhost:8000"""

import asyncio
import sys
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from runcast.web.starlette import Runcast


def allowed(verb, run, request):
    """Allow reading, stopping and writing to a run, by its unguessable id."""
    return run is not None and verb in ("read", "stop", "send")


app = FastAPI()
cast = Runcast(app, authorize=allowed)


async def job(times):
    for number in range(times):
        print(f"Task #{number}")
        await asyncio.sleep(1)
    print("Done")


@app.get("/stream")
async def stream(times: int = 10):
    return cast.stream(job, times)


@app.get("/numbers")
@cast.stream
async def numbers(to: int = 10):
    for number in range(to):
        yield {"number": number, "square": number**2}
        await asyncio.sleep(1)


@app.post("/talk")
def talk():
    """Start a program that reads; the page writes to it over the run's WebSocket."""
    run = cast.start(
        [sys.executable, "-c", "while True: print('Hello,', input('Your name? '))"], stdin="pipe"
    )
    return {"socket": f"/runs/{run.id}/log"}


@app.get("/", response_class=HTMLResponse)
def page():
    return Path(__file__).with_suffix(".html").read_text()


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000, log_level="warning")
