"""Start a run in one worker, follow it in another: plain WSGI, no framework, no queue, no Redis.

Start it with: gunicorn --workers 2 --threads 4 several_workers:app
"""

import os

import runcast
from runcast.errors import RunNotFound

store = runcast.Store.open()  # one folder, the same in every worker
COUNT = ["sh", "-c", "for i in $(seq 20); do echo step $i; sleep 0.2; done"]


def app(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if method == "POST" and path == "/runs":
        status, body = "201 Created", [store.start(COUNT).id]
    elif method == "GET" and (run := find(path.removeprefix("/runs/"))):
        status, body = "200 OK", follow(run)
    else:
        status, body = "404 Not Found", ["POST /runs, then GET /runs/ID"]
    start_response(
        status,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),  # or Chromium shows nothing before the end
            ("X-Accel-Buffering", "no"),  # or nginx does the same
            ("X-Worker", str(os.getpid())),
        ],
    )
    return (f"{line}\n".encode() for line in body)


def find(run_id):
    """Return the run with this very id: `get` would take a part of one, which can be guessed."""
    try:
        run = store.get(run_id)
    except RunNotFound:
        return None
    return run if run.id == run_id else None


def follow(run):
    """Yield the lines from the first one on, then how it ended."""
    yield from run.lines()
    yield run.wait()
