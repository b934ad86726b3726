"""Async jobs and generators that async views start under WSGI, where a view's loop ends with the view."""

from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import LONG, Server

pytestmark = pytest.mark.slow

JOBS = """
    import asyncio, os
    from asgiref.sync import sync_to_async

    def blocking():
        return "blocked"

    async def job():
        print("begun")
        while not os.path.exists(GO):
            await asyncio.sleep(0.01)
        print(await sync_to_async(blocking)())

    async def values():
        yield "begun"
        while not os.path.exists(GO):
            await asyncio.sleep(0.01)
        yield await sync_to_async(blocking)()
"""
FLASK = """
    from flask import Flask
    from runcast.web.flask import Runcast

    app = Flask(__name__)
    cast = Runcast(app)

    @app.get("/job")
    async def view_of_job():
        return cast.stream(job)

    @app.get("/values")
    async def view_of_values():
        return cast.stream(values)

    @app.get("/begun")
    async def begin():
        await asyncio.sleep(0)
        return cast.start(job).id
"""
DJANGO = """
    from django.conf import settings
    settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path
    from runcast.web.django import astream, start, stream

    async def view_of_job(request):
        return await astream(request, job)

    async def view_of_values(request):
        return stream(request, values)

    async def begin(request):
        await asyncio.sleep(0)
        return HttpResponse(start(job).id)

    views = {"job": view_of_job, "values": view_of_values, "begun": begin}
    urlpatterns = [path(name, view) for name, view in views.items()]
    app = get_wsgi_application()
"""


@pytest.mark.parametrize("framework", [FLASK, DJANGO], ids=["flask", "django"])
def test_run_outlives_its_view(framework: str, store: Store, tmp_path: Path) -> None:
    """What an async view starts under WSGI goes on when the view's loop is closed, to its own end."""
    go = tmp_path / "go"
    code = JOBS.replace("GO", repr(str(go))) + framework
    with Server(tmp_path, "gunicorn", code) as server:
        begun = server.ask("GET", "/begun")[2].decode()
        with server.stream("/job") as job, server.stream("/values") as values:
            assert job.readline() == b"begun\n"
            assert values.readline() == b"begun\n"
            go.touch()
            assert job.readline() == b"blocked\n"
            assert values.readline() == b"blocked\n"
        assert store.get(begun).output(timeout=LONG) == "begun\nblocked\n"
        assert [run.wait(timeout=LONG).code for run in store.list()] == [0, 0, 0]
