"""Django: what is its own, besides what all adapters offer."""

import json
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import LONG, Server

pytestmark = pytest.mark.slow

# Each source opens a connection; `/told` has the threads that opened one, and those that closed one.
APP = """
    import threading
    from django.conf import settings
    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER + "/db"}},
    )
    from django.core.asgi import get_asgi_application
    from django.db import connection
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.http import JsonResponse
    from django.urls import path
    from runcast.web.django import astream, start, stream

    opened, closed = [], []
    close = BaseDatabaseWrapper.close

    def noted(self):
        if self.connection is not None:
            closed.append(threading.get_ident())
        close(self)

    BaseDatabaseWrapper.close = noted

    def query():
        with connection.cursor() as cursor:
            opened.append(threading.get_ident())
            return cursor.execute("select 7 * 6").fetchone()[0]

    def job():
        print(query())

    def failing():
        query()
        raise ValueError("no luck")

    def generator():
        yield query()
        yield query()

    async def work(request):
        return await astream(request, job)

    def fail(request):
        return stream(request, failing)

    def values(request):
        return stream(request, generator)

    def begun(request):
        return JsonResponse({"code": start(job).wait(timeout=60).code})

    def told(request):
        return JsonResponse({"opened": opened, "closed": closed})

    views = {"job": work, "fail": fail, "values": values, "begun": begun, "told": told}
    urlpatterns = [path(name, view) for name, view in views.items()]
    app = get_asgi_application()
"""


def test_connections_are_closed(store: Store, tmp_path: Path) -> None:
    """Functions and generators leave no database connection open, however they end."""
    with Server(tmp_path, "uvicorn", APP.replace("FOLDER", repr(str(tmp_path)))) as server:
        assert server.ask("GET", "/job")[2] == b"42\n"
        assert server.ask("GET", "/values")[2] == b"42\n42\n"
        assert b"ValueError: no luck" in server.ask("GET", "/fail")[2]
        assert server.ask("GET", "/begun")[0] == 200
        for run in store.list():
            run.wait(timeout=LONG)
        told = json.loads(server.ask("GET", "/told")[2])
    assert len(told["closed"]) == 4  # one each
    assert set(told["closed"]) == set(told["opened"])  # in the threads that opened them
