"""Which form a client gets."""

import pytest

from runcast.errors import NotAcceptable, UsageError
from runcast.model import Outcome, Reason
from runcast.wire.formats import TRAILERS, Format, headers, negotiate, outcome_fields

CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Format.TEXT),
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/*", Format.TEXT),
        ("text/plain", Format.TEXT),
        (CHROMIUM, Format.HTML),
        ("text/event-stream", Format.SSE),
        ("Text/Event-Stream; charset=utf-8", Format.SSE),
        ("application/json", Format.POLL),
        ("application/json, text/plain, */*", Format.POLL),
        ("*/*; q=0.01, application/json, text/javascript", Format.POLL),
        ("application/*", Format.POLL),
        ("application/x-ndjson", Format.NDJSON),
        ("text/html;q=0.5, text/plain;q=0.4", Format.HTML),
        ("text/plain;q=0.4, text/html;q=0.5", Format.HTML),
        ("text/plain;q=0, */*", Format.HTML),
        ("text/*;q=0.3, text/plain;q=0.1, application/json;q=0.2", Format.HTML),
        ("*/*;q=0.5, text/event-stream;q=0.5", Format.SSE),
        ("image/png, text/*;q=0.1", Format.TEXT),
        ("text/html;q=nonsense, application/json;q=0.1", Format.POLL),
        ("nonsense", Format.TEXT),
        ("text/plain;q=0.001", Format.TEXT),
        ("text/html;level=1;q=0.9, text/plain;q=0.8", Format.HTML),
    ],
)
def test_accept(accept: str | None, form: Format):
    """The heaviest type wins, then the range that names more, then the first; who takes all gets text."""
    assert negotiate(accept) is form


@pytest.mark.parametrize("accept", ["image/png", "text/plain;q=0", "*/*;q=0", "audio/*, video/mp4"])
def test_not_acceptable(accept: str):
    """A client that takes nothing of ours is told what there is."""
    with pytest.raises(NotAcceptable, match="text/plain, text/html, text/event-stream") as caught:
        negotiate(accept)

    assert caught.value.http_status == 406
    assert "application/x-ndjson" in caught.value.offered


def test_only_what_is_offered():
    """Without a page, a browser gets text."""
    offered = {Format.TEXT, Format.SSE}

    assert negotiate(CHROMIUM, offered=offered) is Format.TEXT
    with pytest.raises(NotAcceptable) as caught:
        negotiate("text/html", offered=offered)
    assert caught.value.offered == ("text/plain", "text/event-stream")


@pytest.mark.parametrize(
    ("format", "form"),
    [
        ("text", Format.TEXT),
        ("sse", Format.SSE),
        ("sse-json", Format.SSE_JSON),
        ("ndjson", Format.NDJSON),
        ("json", Format.POLL),
        ("html", Format.HTML),
        ("JSON", Format.POLL),
        ("text/event-stream", Format.SSE),
        ("application/ndjson", Format.NDJSON),
    ],
)
@pytest.mark.parametrize("accept", [None, "image/png", CHROMIUM])
def test_format(format: str, form: Format, accept: str | None):
    """`format` decides, whatever `Accept` says."""
    assert negotiate(accept, format) is form


def test_events_of_json():
    """A client of events that asks for JSON gets events of JSON chunks."""
    assert negotiate("text/event-stream", "json") is Format.SSE_JSON
    assert negotiate("text/event-stream, */*;q=0.1", "json") is Format.SSE_JSON
    assert negotiate("text/event-stream", "json", offered={Format.POLL}) is Format.POLL


@pytest.mark.parametrize("format", ["", "xml", "websocket", "text/xml"])
def test_unknown_format(format: str):
    """Another name is an error that lists the names."""
    with pytest.raises(
        UsageError, match="expected format to be one of text, sse, sse-json, ndjson, json, html"
    ):
        negotiate("*/*", format)


def test_websocket():
    """A WebSocket has one form, whatever else was said."""
    assert negotiate("text/html", "text", websocket=True) is Format.WS


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (Format.TEXT, "text/plain; charset=utf-8"),
        (Format.SSE, "text/event-stream"),
        (Format.SSE_JSON, "text/event-stream"),
        (Format.NDJSON, "application/x-ndjson"),
        (Format.POLL, "application/json"),
        (Format.HTML, "text/html; charset=utf-8"),
        (Format.ASCIICAST, "application/x-asciicast"),
    ],
)
def test_headers(form: Format, content_type: str):
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
    assert headers(Format.WS, live=True) == []


def test_outcome_fields():
    """The fields behind a reply are one line of ASCII each, whatever a message says."""
    found = outcome_fields(Outcome(Reason.FAILED_TO_START, 127, message="no \u20ac\r\nX-Evil: 1" + "x" * 999))

    assert list(found) == list(TRAILERS)
    assert found["Runcast-Exit-Status"] == "127"
    assert found["Runcast-Outcome"].startswith("failed to start (no ???X-Evil: 1")
    assert len(found["Runcast-Outcome"]) == 200
    assert outcome_fields(None) == {}
