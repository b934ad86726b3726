"""A command as a view of Bottle."""

import sys
from pathlib import Path

import bottle

from runcast.web.bottle import Runcast

FOLDER = Path(__file__).parent

app = bottle.Bottle()
cast = Runcast()
app.install(cast)


@app.get("/stream")
def stream():
    return cast.stream(["bash", "steps.sh"], cwd=FOLDER)


@app.get("/silent")
def silent():
    return cast.stream(["sleep", "600"])


if __name__ == "__main__":
    app.run(server="wsgiref", port=int(sys.argv[1]), quiet=True)
