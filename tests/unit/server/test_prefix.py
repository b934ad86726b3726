"""Below which path a server is: what may be one, and that all behind sees the same whichever way it came."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import UsageError
from runcast.server.prefix import below_path, parse_root_path, url_below
from runcast.server.proxies import PEER, Proxies


def seen(
    path: str,
    root: str = "/cast",
    header: str | None = None,
    peer: str = "192.0.2.1",
    raw: bytes | None = None,
) -> tuple[str, str, bytes | None]:
    """Return root, path and raw path of a request as the application gets it."""
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append((scope.get("root_path", ""), scope["path"], scope.get("raw_path")))

    headers = [] if header is None else [(b"x-forwarded-prefix", header.encode())]
    scope = {"type": "http", "path": path, "raw_path": path.encode() if raw is None else raw}
    asyncio.run(
        below_path(app, root, Proxies(["192.0.2.1"]))(scope | {"headers": headers, PEER: peer}, None, None)
    )  # type: ignore[arg-type]
    return got[0]


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("/cast/runs", "/runs"),
        ("/runs", "/runs"),
        ("/cast", "/"),
        ("/cast/", "/"),
        ("/castle/runs", "/castle/runs"),
        ("/cast/cast/runs", "/cast/runs"),
    ],
)
def test_taken_off_or_not(path: str, inner: str):
    """The path is in `root_path` alone, whether a proxy has taken it off or not."""
    assert seen(path) == ("/cast", inner, inner.encode())


def test_other_spelling():
    """A path that is spelled with percent signs stays as it is, in both: no check sees another."""
    assert seen("/cast/runs", raw=b"/c%61st/runs") == ("/cast", "/cast/runs", b"/c%61st/runs")


def test_header():
    """A trusted proxy's header goes before the option; a stranger's, or a wrong one, is passed over."""
    assert seen("/a/b/runs", header="/a/b/")[:2] == ("/a/b", "/runs")
    assert seen("/runs", header="/")[:2] == ("", "/runs")
    assert seen("/cast/runs", header="/a", peer="192.0.2.2")[:2] == ("/cast", "/runs")
    assert seen("/cast/runs", header="//evil")[:2] == ("/cast", "/runs")


@given(st.text("/.ab;%\\\r\n \t~é", max_size=12))
def test_form(text: str):
    """What passes is no other host, goes nowhere upwards, and ends no cookie and no header."""
    try:
        path = parse_root_path(text)
    except UsageError:
        return
    assert path == "" or (path[0] == "/" and path[-1] != "/")
    assert "//" not in path
    assert not {".", ".."} & set(path.split("/"))
    assert not set(path) & set(";%\\\r\n \té")


@pytest.mark.parametrize("text", ["/runs", "/v1/stream", "/hooks", "/healthz/a", "/" + 200 * "a"])
def test_own_paths(text: str):
    """A path of the server's own is none: nobody could tell whether it was taken off."""
    with pytest.raises(UsageError):
        parse_root_path(text)


def test_urls():
    """The URL of the server has the path, that of a Unix socket is the socket's."""
    assert url_below("/cast", "http://127.0.0.1:8765/") == "http://127.0.0.1:8765/cast/"
    assert url_below("", "http://127.0.0.1:8765/") == "http://127.0.0.1:8765/"
    assert url_below("/cast", "unix:///run/a") == "unix:///run/a"
