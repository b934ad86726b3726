"""Buttons for commands, behind a login: PASSWORD=… python flask_login.py, then localhost:5000"""

import os
import secrets
import signal
import sys

from flask import Flask, redirect, request, session

from runcast.web.flask import Runcast

COMMANDS = ["pwd", "ls -lR", "ps -Af", "tail --lines=5000 -f /var/log/dpkg.log"]
PASSWORD = os.environ.pop("PASSWORD", None) or secrets.token_urlsafe()  # not for the commands to see
LOGIN = """<!doctype html><title>Log in</title>
<form method="post" action="/login">
<input name="password" type="password" autofocus> <button>Log in</button>
</form>"""

app = Flask(__name__)
app.secret_key = os.environ.pop("SECRET_KEY", None) or secrets.token_bytes()  # several workers: set the same
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"


def may(verb, run, request):
    """Allow logged-in users everything: list, start, read, stop, rerun, send, delete."""
    return session.get("user") == "operator"


cast = Runcast(app, commands=COMMANDS, authorize=may)  # the page with a button for each is /runs


@app.get("/")
def home():
    return redirect("/runs") if session.get("user") else LOGIN


@app.post("/login")
def login():
    given = request.form.get("password", "")
    if not secrets.compare_digest(given.encode(), PASSWORD.encode()):
        return LOGIN, 403
    session["user"] = "operator"
    return redirect("/runs", 303)


@app.post("/logout")
def logout():
    session.clear()
    return redirect("/", 303)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as by Ctrl-C: with last words
    print("the password is", PASSWORD, flush=True)
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
