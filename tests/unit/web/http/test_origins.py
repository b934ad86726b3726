"""Other origins: how they are written, what their pages may read, which headers their browsers get."""

from typing import Any

import pytest

from runcast import Store
from runcast.errors import UsageError
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.http.messages import Reply, Request
from runcast.web.http.origins import Origins, parse_origin

APP = "https://app.example"
OTHER = "https://other.example"
ORIGINS = Origins([APP, "http://localhost:5173"])


def request(
    method: str = "GET", path: str = "/runs", origin: str | None = APP, body: bytes = b"", **more: str
) -> Request:
    """Return a request as a page of an origin makes a browser send it."""
    headers = {"host": "127.0.0.1:8765", "sec-fetch-site": "cross-site"}
    if origin is not None:
        headers["origin"] = origin
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return Request(method, path, headers=headers | named, body=body)


def fields(reply: Reply | None) -> dict[str, str]:
    """Return the headers of a reply, of which none comes twice."""
    assert reply is not None
    names = [name.lower() for name, _ in reply.headers]
    assert len(names) == len(set(names))
    return {name.lower(): value for name, value in reply.headers}


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (APP, APP),
        ("HTTPS://App.Example", APP),
        ("https://app.example:443", APP),
        ("http://app.example:443", "http://app.example:443"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://localhost:080", "http://localhost"),
        ("http://192.0.2.7:1", "http://192.0.2.7:1"),
        ("http://[0:0::0:1]:8000", "http://[::1]:8000"),
        ("https://a_b-c.example.", "https://a_b-c.example."),
    ],
)
def test_spelling(text: str, origin: str):
    """An origin is taken as it is written, and kept as browsers write it."""
    assert parse_origin(text) == origin
    assert list(Origins([text])) == [origin]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("*", ": any page at all could read then, so name those that may"),
        ("null", ": files and sandboxed pages say so, whosever they are"),
        ("https://app.example/", f": did you mean {APP}?"),
        ("https://app.example/page?x#y", f": did you mean {APP}?"),
        ("https://app.example?x", f": did you mean {APP}?"),
        ("app.example", f": did you mean {APP}?"),
        ("app.example:8443", ": did you mean https://app.example:8443?"),
        ("", ""),
        ("https://", ""),
        ("https://*.example", ""),
        ("https://user@app.example", ""),
        ("https://app.example:0", ""),
        ("https://app.example:65536", ""),
        ("https://app.example:", ""),
        ("https://[::1", ""),
        ("https://[::z]", ""),
        ("https://[1:2]", ""),
        ("ftp://app.example", ""),
        ("file:///page.html", ""),
        ("https://bücher.example", ""),
        (f"{APP}, {OTHER}", ""),
        (f" {APP}", ""),
        (f"{APP}\n", ""),
        (b"https://app.example", ""),
        (None, ""),
    ],
)
def test_no_origin(text: Any, hint: str):
    """What is no origin is refused in one sentence: what was expected, what came, what was meant."""
    with pytest.raises(UsageError) as caught:
        RuncastApp(allow_origins=[text])

    expected = "expected an origin such as https://app.example or http://localhost:5173"
    assert str(caught.value) == f"allow_origins=: {expected}, got {text!r}{hint}"


@pytest.mark.parametrize("listed", [APP, None, 3])
def test_no_list(listed: Any):
    """One origin in place of a list is an error, and not taken letter by letter."""
    with pytest.raises(UsageError, match="expected allow_origins= as a list of origins, got "):
        RuncastApp(allow_origins=listed)


@pytest.mark.parametrize("path", ["/runs", "/runs/1", "/runs/1/log", "/v1/stream/s", "/v1/stream/runs/1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_read(method: str, path: str):
    """A page of a listed origin may have runs and streams, and the headers that a client needs."""
    headers = fields(ORIGINS.apply(request(method, path), Reply(200, [("Vary", "Accept")])))

    assert headers["access-control-allow-origin"] == APP
    assert "Stream-Next-Offset" in headers["access-control-expose-headers"].split(", ")
    assert headers["vary"] == "Accept, Origin"
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        OTHER,
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil.example/https://app.example",
        "https://sub.app.example",
        f"{APP}, {OTHER}",
        f"{APP}/",
    ],
)
def test_unlisted(origin: str | None):
    """No other page is let in; its reply is not to be given to a listed one by a cache, nor the other way."""
    asked = request(origin=origin, access_control_request_method="GET")
    preflight = request("OPTIONS", origin=origin, access_control_request_method="GET")

    assert fields(ORIGINS.apply(asked, Reply(200))) == {"vary": "Origin"}
    assert ORIGINS.preflight(preflight) is None


@pytest.mark.parametrize("path", ["/commands", "/", "", "/runsx", "/v1/stream", "/metrics"])
def test_other_paths(path: str):
    """What is neither a run nor a stream is not for other origins' pages."""
    assert "access-control-allow-origin" not in fields(ORIGINS.apply(request(path=path), Reply(200)))
    assert ORIGINS.preflight(request("OPTIONS", path, access_control_request_method="GET")) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "get"])
def test_no_read(method: str):
    """The reply to a request that changes something cannot be read, and no preflight allows it."""
    assert fields(ORIGINS.apply(request(method), Reply(200))) == {}
    assert ORIGINS.preflight(request("OPTIONS", access_control_request_method=method)) is None
    assert ORIGINS.preflight(request(method, access_control_request_method="GET")) is None


def test_preflight():
    """A preflight allows a page to read, with a token and a position, and no more."""
    reply = ORIGINS.preflight(request("OPTIONS", access_control_request_method="GET"))
    headers = fields(reply)

    assert reply is not None
    assert (reply.status, reply.body) == (204, b"")
    assert headers["access-control-allow-origin"] == APP
    assert headers["access-control-allow-methods"] == "GET, HEAD"
    allowed = {name.lower() for name in headers["access-control-allow-headers"].split(", ")}
    assert {"authorization", "last-event-id", "range", "if-none-match"} <= allowed
    assert not {"content-type", "x-runcast", "stream-closed", "producer-id"} & allowed
    assert "access-control-allow-credentials" not in headers


def test_nobody_listed(store: Store):
    """Without the option nothing is different: no header more, a preflight as before."""
    cast = RuncastApp(store=store, authorize=lambda verb, run, request: True)
    asked = request()

    assert "vary" not in fields(cast.serve(asked))
    assert fields(cast.serve(request("OPTIONS", access_control_request_method="GET"))) == {
        "allow": "GET, HEAD, OPTIONS, POST"
    }


@pytest.mark.parametrize("origin", [APP, OTHER, "null", "http://["])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/runs"),
        ("POST", "/runs/ID/stop"),
        ("POST", "/runs/ID/signal"),
        ("POST", "/runs/ID/rerun"),
        ("POST", "/runs/ID/stdin"),
        ("DELETE", "/runs/ID"),
        ("PUT", "/v1/stream/new"),
        ("POST", "/v1/stream/s"),
        ("DELETE", "/v1/stream/s"),
    ],
)
@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
def test_nothing_changes(store: Store, method: str, path: str, origin: str, site: str):
    """Listed or not, a page of another origin starts, stops, writes and deletes nothing."""
    everything = {"allow_any_command": True, "authorize": lambda verb, run, request: True}
    cast = RuncastApp(store=store, allow_origins=[APP], **everything)
    asked = request(method, path, origin, b'{"command": ["true"]}', sec_fetch_site=site)

    reply = cast.serve(asked)

    assert reply.status == 403
    assert fields(reply).keys() == {"content-type", "cache-control", "x-content-type-options"}
    assert not list(store.list())


def test_who_is_not_allowed_can_read_why(store: Store):
    """A page that may read can read a refusal by `authorize`."""
    cast = RuncastApp(store=store, allow_origins=[APP])  # by default nobody lists

    reply = cast.serve(request())

    assert reply.status == 403
    assert fields(reply)["access-control-allow-origin"] == APP
