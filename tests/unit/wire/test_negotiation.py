"""Which form a client gets."""

import pytest

from runcast.errors import NotAcceptable, UsageError
from runcast.model import Outcome, Reason
from runcast.wire.forms import (
    ASCIICAST,
    ASCIICAST_EVENTS,
    ASCIICAST_V3,
    HTML,
    NDJSON,
    POLL,
    SSE,
    SSE_JSON,
    TEXT,
    WS,
    WS_ASCIICAST,
    Form,
)
from runcast.wire.negotiation import TRAILERS, headers, negotiate, negotiate_subprotocol, outcome_fields

CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/*", TEXT),
        ("text/plain", TEXT),
        (CHROMIUM, HTML),
        ("text/event-stream", SSE),
        ("Text/Event-Stream; charset=utf-8", SSE),
        ("application/json", POLL),
        ("application/json, text/plain, */*", POLL),
        ("*/*; q=0.01, application/json, text/javascript", POLL),
        ("application/*", POLL),
        ("application/x-ndjson", NDJSON),
        ("text/html;q=0.5, text/plain;q=0.4", HTML),
        ("text/plain;q=0.4, text/html;q=0.5", HTML),
        ("text/plain;q=0, */*", HTML),
        ("text/*;q=0.3, text/plain;q=0.1, application/json;q=0.2", HTML),
        ("*/*;q=0.5, text/event-stream;q=0.5", SSE),
        ("image/png, text/*;q=0.1", TEXT),
        ("text/html;q=nonsense, application/json;q=0.1", POLL),
        ("nonsense", TEXT),
        ("text/plain;q=0.001", TEXT),
        ("text/html;level=1;q=0.9, text/plain;q=0.8", HTML),
    ],
)
def test_accept(accept: str | None, form: Form):
    """The heaviest type wins, then the range that names more, then the first; who takes all gets text."""
    assert negotiate(accept) is form


@pytest.mark.parametrize(
    ("offered", "form"),
    [
        (None, WS),
        ("", WS),
        ("raw, chat", WS),
        ("v1.alis, v2.asciicast, v3.asciicast, raw", WS_ASCIICAST),  # asciinema-player 3.18.0
        ("V2.asciicast", WS),  # subprotocols are compared as they are (RFC 6455, section 11.5)
    ],
)
def test_subprotocol(offered: str | None, form: Form):
    """A WebSocket gets recordings if it offers them, else messages."""
    assert negotiate_subprotocol(offered) is form


def test_recording_as_events():
    """An EventSource that requests a recording gets one, by its format alone."""
    assert negotiate("text/event-stream", "asciicast") is ASCIICAST_EVENTS
    assert negotiate("text/event-stream", None) is SSE
    assert negotiate("application/x-asciicast", "asciicast") is ASCIICAST


@pytest.mark.parametrize("accept", ["image/png", "text/plain;q=0", "*/*;q=0", "audio/*, video/mp4"])
def test_not_acceptable(accept: str):
    """A client that takes nothing of ours is told what there is."""
    with pytest.raises(NotAcceptable, match="text/plain, text/html, text/event-stream") as caught:
        negotiate(accept)

    assert caught.value.http_status == 406
    assert "application/x-ndjson" in caught.value.offered


@pytest.mark.parametrize(
    ("format", "form"),
    [
        ("text", TEXT),
        ("sse", SSE),
        ("sse-json", SSE_JSON),
        ("ndjson", NDJSON),
        ("json", POLL),
        ("html", HTML),
        ("JSON", POLL),
        ("text/event-stream", SSE),
        ("application/ndjson", NDJSON),
        ("application/x-asciicast", ASCIICAST),
        ("asciicast-v3", ASCIICAST_V3),
    ],
)
@pytest.mark.parametrize("accept", [None, "image/png", CHROMIUM])
def test_format(format: str, form: Form, accept: str | None):
    """`format` decides, whatever `Accept` says."""
    assert negotiate(accept, format) is form


def test_events_of_json():
    """A client of events that asks for JSON gets events of JSON chunks."""
    assert negotiate("text/event-stream", "json") is SSE_JSON
    assert negotiate("text/event-stream, */*;q=0.1", "json") is SSE_JSON
    assert negotiate("text/*", "json") is POLL
    assert negotiate("text/event-stream", "ndjson") is NDJSON


@pytest.mark.parametrize("format", ["", "xml", "websocket", "text/xml"])
def test_unknown_format(format: str):
    """Another name is an error that lists the names."""
    with pytest.raises(
        UsageError,
        match=r"expected format to be one of text, html, sse, sse-json, json, ndjson, asciicast.*, got",
    ):
        negotiate("*/*", format)


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (TEXT, "text/plain; charset=utf-8"),
        (SSE, "text/event-stream"),
        (SSE_JSON, "text/event-stream"),
        (NDJSON, "application/x-ndjson"),
        (POLL, "application/json"),
        (HTML, "text/html; charset=utf-8"),
        (ASCIICAST, "application/x-asciicast"),
        (ASCIICAST_V3, "application/x-asciicast"),
    ],
)
def test_headers(form: Form, content_type: str):
    """No browser guesses the type, and no proxy keeps, changes or collects a live reply."""
    live = dict(headers(form, live=True))

    assert live == {
        "Content-Type": content_type,
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept",
        "Cache-Control": "no-store, no-transform",
        "X-Accel-Buffering": "no",
    }
    assert dict(headers(form, live=False)) == {
        "Content-Type": content_type,
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept",
        "Cache-Control": "private, no-cache, no-transform",
    }


def test_websocket_headers():
    """The server of a WebSocket writes its own headers."""
    assert headers(WS, live=True) == []


def test_outcome_fields():
    """The fields behind a reply are one line of ASCII each, whatever a message says."""
    found = outcome_fields(Outcome(Reason.FAILED_TO_START, 127, message="no \u20ac\r\nX-Evil: 1" + "x" * 999))

    assert list(found) == list(TRAILERS)
    assert found["Runcast-Exit-Status"] == "127"
    assert found["Runcast-Outcome"].startswith("failed to start (no ???X-Evil: 1")
    assert len(found["Runcast-Outcome"]) == 200
    assert outcome_fields(None) == {}
