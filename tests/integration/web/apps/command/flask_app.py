"""A command as a view of Flask."""

from pathlib import Path

from flask import Flask

from runcast.web.flask import Runcast

FOLDER = Path(__file__).parent

app = Flask(__name__)
cast = Runcast(app)


@app.get("/stream")
def stream():
    return cast.stream(["bash", "steps.sh"], cwd=FOLDER)


@app.get("/silent")
def silent():
    return cast.stream(["sleep", "600"])
