"""A page that starts and stops background commands: python flask_background.py, then localhost:5000"""

import contextlib
import signal
import sys

from flask import Flask, redirect, render_template, request

from runcast.errors import RuncastError, RunFinished, RunNotFound
from runcast.web.flask import Runcast
from runcast.web.responder import by_id_alone

LOG = "/var/log/dpkg.log"
COMMANDS = [
    "pwd",
    "ls -lR",
    "ps -Af",
    "unknown-command",
    f"tail --lines=5000 {LOG}",
    f"tail --lines=10 -f {LOG}",
    ["bash", "-c", "echo this is stdout; echo and this is stderr >&2; exit 3"],
]

app = Flask(__name__, template_folder=".")
cast = Runcast(app, commands=COMMANDS, authorize=by_id_alone)


@app.get("/")
def page():
    return render_template("flask_background.html", commands=cast.commands, run=request.cookies.get("run"))


@app.post("/")
def act():
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return "expected the form of this page", 403
    stop(request.cookies.get("run"))
    answer = redirect("/", 303)
    if request.form["action"] == "start_command":
        run = cast.start_command(request.form["command"])
        answer.set_cookie("run", run.id, httponly=True, samesite="Strict")
    return answer


def stop(run_id):
    """Stop the viewer's former command, all that it started included, if it still goes on."""
    with contextlib.suppress(RunFinished, RunNotFound):
        cast.store.get(run_id or "none").stop()


@app.errorhandler(RuncastError)
def problem(error):
    return str(error), error.http_status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as by Ctrl-C: with last words
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
