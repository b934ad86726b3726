"""What the fast path needs of uvicorn, and that it is noticed where that is gone."""

import logging

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runcast.server.uvicorn_fastpath import FastpathProtocol, missing
from runcast.server.uvicorn_server import http_protocol


def test_locked_uvicorn(caplog: pytest.LogCaptureFixture):
    """The uvicorn that is tested has what the fast path overrides, and there is no warning."""
    assert missing() is None
    assert http_protocol() is FastpathProtocol
    assert caplog.messages == []


def test_another_uvicorn(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Where another uvicorn lacks it the server says so, which would only be slower."""
    monkeypatch.delattr(HttpToolsProtocol, "_start_asgi_task")
    monkeypatch.delattr(FastpathProtocol, "_start_asgi_task")

    with caplog.at_level(logging.WARNING, "runcast.server"):
        http_protocol()

    assert missing() == "HttpToolsProtocol._start_asgi_task"
    assert "has no HttpToolsProtocol._start_asgi_task: appends are slower" in caplog.text
