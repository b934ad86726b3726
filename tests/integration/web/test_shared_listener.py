"""Requests whose functions log through one thread: each request's records are in its own run."""

from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import LONG, Server

pytestmark = pytest.mark.slow

# A listener that the first request begins, as lazily configured logging does; each function waits
# in its midst until both have begun.
JOBS = """
    import logging, logging.handlers, queue, threading

    log, records = logging.getLogger("jobs"), queue.Queue()
    lock, both = threading.Lock(), threading.Barrier(2)

    def job(name):
        with lock:
            if not log.handlers:
                log.addHandler(logging.handlers.QueueHandler(records))
                logging.handlers.QueueListener(records, logging.StreamHandler()).start()
        log.warning(f"{name} begins")
        both.wait(60)
        for number in range(20):
            log.warning(f"{name} {number}")
            print(f"{name} printed {number}")
        both.wait(60)
        log.warning(f"{name} ends")
        while records.unfinished_tasks:
            threading.Event().wait(0.001)
"""
FLASK = """
    from flask import Flask
    from runcast.web.flask import Runcast

    app = Flask(__name__)
    cast = Runcast(app)

    @app.get("/job/<name>")
    def view(name):
        return cast.stream(job, name)
"""
DJANGO = """
    from django.conf import settings
    settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
    from django.core.{kind} import get_{kind}_application
    from django.urls import path
    from runcast.web.django import stream

    def view(request, name):
        return stream(request, job, name)

    urlpatterns = [path("job/<name>", view)]
    app = get_{kind}_application()
"""
FASTAPI = """
    from fastapi import FastAPI
    from runcast.web.starlette import Runcast

    app = FastAPI()
    cast = Runcast(app)

    @app.get("/job/{name}")
    async def view(name):
        return cast.stream(job, name)
"""
SERVERS = {
    "flask": ("gunicorn", FLASK),
    "werkzeug": ("werkzeug", FLASK),
    "django-wsgi": ("gunicorn", DJANGO.format(kind="wsgi")),
    "django-asgi": ("uvicorn", DJANGO.format(kind="asgi")),
    "fastapi": ("uvicorn", FASTAPI),
}


@pytest.mark.parametrize("name", SERVERS)
def test_one_listener_for_all_requests(name: str, store: Store, tmp_path: Path) -> None:
    """Of two requests at once each viewer has its own function's records, and the server's log has none."""
    server, framework = SERVERS[name]
    expected = {
        name: [f"{name} begins", *(f"{name} {number}" for number in range(20)), f"{name} ends"]
        + [f"{name} printed {number}" for number in range(20)]
        for name in ("one", "two")
    }
    with Server(tmp_path, server, JOBS + framework) as running:
        with running.stream("/job/one") as one, running.stream("/job/two") as two:
            assert sorted(one.read().decode().splitlines()) == sorted(expected["one"])
            assert sorted(two.read().decode().splitlines()) == sorted(expected["two"])
        for run in store.list():
            assert run.wait(timeout=LONG).ok
        log = (tmp_path / "server.log").read_text()
    assert [line for line in log.splitlines() if line.startswith(("one ", "two "))] == []
