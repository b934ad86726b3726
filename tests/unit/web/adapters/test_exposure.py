"""The warning of an application that lets strangers do everything."""

import logging
from typing import Any

import pytest

from runcast.web.adapters import exposure
from runcast.web.adapters.exposure import is_stranger, warning_once
from runcast.web.api.authorize import allow_all
from runcast.web.asgi import to_request as of_asgi
from runcast.web.http.messages import Request
from runcast.web.responder import by_id_alone
from runcast.web.wsgi import to_request as of_wsgi


@pytest.fixture(autouse=True)
def _unwarned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "_warned", False)


def of_wsgi_from(peer: str | None, **headers: str) -> Request:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/runs", **headers}
    return of_wsgi(environ if peer is None else environ | {"REMOTE_ADDR": peer}, body=False)


def of_asgi_from(peer: str | None, **headers: str) -> Request:
    named = [
        (name.removeprefix("HTTP_").replace("_", "-").lower().encode(), value.encode())
        for name, value in headers.items()
    ]
    scope: dict[str, Any] = {"method": "GET", "path": "/runs", "headers": named}
    return of_asgi(scope | {"client": None if peer is None else (peer, 4711)}, b"")


@pytest.mark.parametrize("make", [of_wsgi_from, of_asgi_from])
@pytest.mark.parametrize(
    ("peer", "headers", "stranger"),
    [
        ("192.0.2.7", {}, True),
        ("2001:db8::7", {}, True),
        ("fe80::7%eth0", {}, True),
        ("::ffff:192.0.2.7", {}, True),
        ("127.0.0.1", {}, False),
        ("127.8.8.8", {}, False),
        ("::1", {}, False),
        ("::ffff:127.0.0.1", {}, False),
        ("", {}, False),
        (None, {}, False),
        ("testclient", {}, False),
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}, True),
        (None, {"HTTP_FORWARDED": "for=192.0.2.7"}, True),
        ("192.0.2.7", {"HTTP_COOKIE": "session=x"}, False),
        ("192.0.2.7", {"HTTP_AUTHORIZATION": "Basic eDp5"}, False),
    ],
)
def test_strangers(make: Any, peer: str | None, headers: dict[str, str], stranger: bool):
    """A stranger comes from another machine, or through a proxy, and shows no login."""
    assert is_stranger(make(peer, **headers)) is stranger


def test_once(caplog: pytest.LogCaptureFixture):
    """There is one warning in a process, with its reason, at the first action that a stranger may do."""
    decide, other = warning_once(allow_all), warning_once(allow_all)
    with caplog.at_level(logging.WARNING):
        assert decide("list", None, of_wsgi_from("127.0.0.1"))
        assert caplog.messages == []
        assert all(decide("list", None, of_wsgi_from("192.0.2.7")) for _ in range(3))
        assert other("start", None, of_wsgi_from("192.0.2.7"))

    assert len(caplog.messages) == 1
    assert "anybody who reaches this server may list here" in caplog.text


def test_what_is_not_for_everybody(caplog: pytest.LogCaptureFixture):
    """What is refused, or needs the id of a run, is nothing to warn of."""
    nobody, holder = warning_once(lambda *_: False), warning_once(by_id_alone)
    with caplog.at_level(logging.WARNING):
        assert not nobody("start", None, of_wsgi_from("192.0.2.7"))
        assert not holder("list", None, of_wsgi_from("192.0.2.7"))
        assert warning_once(allow_all)("read", None, of_wsgi_from("192.0.2.7"))

    assert caplog.messages == []
