"""An ASGI server and a WSGI server for all tests of the API.

To start a server takes longer than most tests. So there is one of each, and each test has an
application of its own in it, with a store of its own.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.servers import Server

_ASGI = """
    import os, threading
    from runcast import Store
    from runcast.web.asgi import RunsASGI

    apps, lock = {}, threading.Lock()

    def current():
        path = os.readlink(os.path.join(os.path.dirname(__file__), "store"))
        with lock:
            if path not in apps:
                apps[path] = RunsASGI(Store(path), allow_any_command=True)
            return apps[path]

    async def app(scope, receive, send):
        await current()(scope, receive, send)
"""
_WSGI = """
    def app(environ, start_response):
        return current()(environ, start_response)
"""
_CODE = {
    **dict.fromkeys(("uvicorn", "hypercorn", "daphne", "gunicorn-asgi"), _ASGI),
    "gunicorn": _ASGI.split("    async def")[0].replace("asgi", "wsgi").replace("ASGI", "WSGI") + _WSGI,
}


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, Path], Server]]:
    """Give a function that has a server serve a store; it is started where it does not run."""
    servers: dict[str, Server] = {}

    def serve(kind: str, store: Path) -> Server:
        folder = servers[kind].folder if kind in servers else tmp_path_factory.mktemp(kind)
        (folder / "next").symlink_to(store)
        os.replace(folder / "next", folder / "store")
        server = servers.get(kind) or Server(folder, kind, _CODE[kind])
        servers[kind] = server
        if server.process is None or server.process.poll() is not None:  # a test may kill it
            server.start()
        return server

    yield serve
    for server in servers.values():
        server.kill()
