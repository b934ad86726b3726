"""Paths of the API beside those of an application."""

import asyncio
import io
from typing import Any

import pytest

from runcast import Store
from runcast.errors import UsageError
from runcast.web.adapters.beside import own_path
from runcast.web.asgi import RunsASGI
from runcast.web.wsgi import RunsWSGI

RULES = ("/runs", "/v1/stream")


@pytest.mark.parametrize(
    ("path", "prefix", "own"),
    [
        ("/runs", "", "/runs"),
        ("/runs/", "", "/runs/"),
        ("/runs/x/log", "", "/runs/x/log"),
        ("/v1/stream/a//b\n", "", "/v1/stream/a//b\n"),
        ("/runsome", "", None),
        ("/v1/streams", "", None),
        ("/", "", None),
        ("", "", None),
        ("/tools/runs/x", "/tools", "/runs/x"),
        ("/toolsruns", "/tools", None),
        ("/runs", "/tools", None),
    ],
)
def test_own_path(path: str, prefix: str, own: str | None):
    """A rule has itself and what is below it, whole segments; all else is the application's."""
    assert own_path(path, prefix, RULES) == own


def test_prefix_without_slash(store: Store):
    """A prefix that no path could ever begin with is refused, when the application is made."""
    with pytest.raises(UsageError, match="begins with a slash, such as '/tools', got 'tools'"):
        RunsASGI(store).beside(application, prefix="tools")
    with pytest.raises(UsageError, match="begins with a slash"):
        RunsWSGI(store).beside(lambda environ, start: [], prefix="tools")


@pytest.mark.parametrize("server_root", ["", "/site"])
@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("prefix", ["", "/tools", "/tools/"])
def test_asgi(store: Store, prefix: str, server_root: str, included: bool):
    """The API answers below its prefix, whether the server has its root in the path or not."""
    both = RunsASGI(store).beside(application, prefix=prefix)
    below = prefix.rstrip("/")

    def status(path: str) -> Any:
        whole = (server_root if included else "") + path
        return asyncio.run(asked(both, server_root, whole))

    assert status(f"{below}/runs/none") == 404
    assert status("/own") == "application"
    assert status(f"{below}/runsome") == "application"
    if below:
        assert status("/runs/none") == "application"


@pytest.mark.parametrize("prefix", ["", "/tools"])
def test_wsgi(store: Store, prefix: str):
    """The same of WSGI, where the root is always apart; the prefix is a part of the root for the API."""
    began: list[str] = []
    both = RunsWSGI(store).beside(lambda environ, start: [environ["PATH_INFO"].encode()], prefix=prefix)

    def asked(path: str) -> bytes:
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "/site",
            "PATH_INFO": path,
            "wsgi.input": io.BytesIO(),
        }
        return b"".join(both(environ, lambda status, headers: began.append(status)))

    assert b"no run" in asked(f"{prefix}/runs/none")
    assert began == ["404 Not Found"]
    assert asked("/own") == b"/own"
    assert asked(f"{prefix}/runsome") == f"{prefix}/runsome".encode()


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send("application")


async def asked(app: Any, root: str, path: str) -> Any:
    """Return what an application answered first: a status, or what it is."""
    got: list[Any] = []

    async def send(message: Any) -> None:
        got.append(message if isinstance(message, str) else message.get("status"))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": root,
        "headers": [],
        "query_string": b"",
    }
    await app(scope, receive, send)
    return got[0]
