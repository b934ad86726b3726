"""What a viewer asks for over a WebSocket."""

import signal

import pytest

from runcast.errors import UsageError
from runcast.wire.client_messages import (
    ClientMessage,
    Resize,
    Signal,
    Stdin,
    Stop,
    parse_client_message,
    parse_resize,
    parse_signal,
    parse_stop,
)


@pytest.mark.parametrize(
    ("message", "ask"),
    [
        ('{"stdin": "yes\\n"}', Stdin(b"yes\n")),
        ('{"stdin": "\\u20ac", "eof": true}', Stdin("\u20ac".encode(), eof=True)),
        ('{"stdin": {"base64": "AP8="}}', Stdin(b"\0\xff")),
        ('{"eof": true}', Stdin(b"", eof=True)),
        ('{"resize": [80, 24]}', Resize(80, 24)),
        ('{"signal": "INT"}', Signal(signal.SIGINT)),
        ('{"signal": "sigusr1"}', Signal(signal.SIGUSR1)),
        ('{"signal": 40}', Signal(40)),
        ('{"stop": {}}', Stop()),
        ('{"stop": {"signal": "TERM", "grace": 5}}', Stop(signal.SIGTERM, 5.0)),
        ('{"stop": {"grace": 0}}', Stop(None, 0.0)),
    ],
)
def test_asks(message: str, ask: ClientMessage):
    """Each verb has its object."""
    assert parse_client_message(message) == ask


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b'{"eof":true}', "expected a text message"),
        ("", "expected a JSON object, got ''"),
        ("{", "expected a JSON object"),
        ("[1]", "expected a JSON object, got '[1]'"),
        ("[" * 100_000, "expected a JSON object"),
        ("{}", "expected one of stdin, eof, resize, signal and stop, got none"),
        ('{"kill": 1}', "got 'kill'"),
        ('{"stdin": "a", "stop": {}}', "got 'stdin', 'stop'"),
        ('{"eof": true, "signal": "INT"}', "got 'signal', 'stdin'"),
        ('{"stdin": 5}', "expected stdin to be text"),
        ('{"stdin": "\\ud800"}', "expected stdin to be text"),
        ('{"stdin": {"base64": "A"}}', "expected stdin to be text"),
        ('{"stdin": {"base64": "AA==", "x": 1}}', "expected stdin to be text"),
        ('{"stdin": {"base64": "\u20ac"}}', "expected stdin to be text"),
        ('{"stdin": "a", "eof": 1}', "expected eof to be true or false, got 1"),
        ('{"resize": [80]}', "expected resize to be [columns, rows]"),
        ('{"resize": [80, 0]}', "expected resize to be [columns, rows]"),
        ('{"resize": [80, 65536]}', "expected resize to be [columns, rows]"),
        ('{"resize": [true, true]}', "expected resize to be [columns, rows]"),
        ('{"resize": "80"}', "expected resize to be [columns, rows]"),
        ('{"signal": "NOPE"}', "expected signal to be a name such as INT"),
        ('{"signal": "SIG_IGN"}', "expected signal to be a name such as INT"),
        ('{"signal": 0}', "expected signal to be a name such as INT"),
        ('{"signal": 65}', "expected signal to be a name such as INT"),
        ('{"signal": true}', "expected signal to be a name such as INT"),
        ('{"signal": null}', "expected signal to be a name such as INT"),
        ('{"stop": 5}', "expected stop to be an object with signal and grace, got 5"),
        ('{"stop": {"after": 5}}', "expected stop to be an object"),
        ('{"stop": {"grace": -1}}', "expected grace to be a number of seconds"),
        ('{"stop": {"grace": NaN}}', "expected grace to be a number of seconds"),
        ('{"stop": {"grace": Infinity}}', "expected grace to be a number of seconds"),
        ('{"stop": {"grace": 1%s}}' % ("0" * 400), "expected grace to be a number of seconds"),
        ('{"stop": {"grace": "5"}}', "expected grace to be a number of seconds"),
        ('{"stop": {"grace": true}}', "expected grace to be a number of seconds"),
    ],
)
def test_refused(message: str | bytes, words: str):
    """Anything else is an error that says what was expected and what came."""
    with pytest.raises(UsageError) as caught:
        parse_client_message(message)

    assert words in str(caught.value)


def test_stop_of_http():
    """The body of a request to stop is read by the same rule."""
    assert parse_stop({"signal": 15, "grace": 1.5}) == Stop(15, 1.5)
    with pytest.raises(UsageError, match="expected stop to be an object"):
        parse_stop(None)


def test_signal_of_a_body():
    """The body of `POST …/signal` has one key, a name or a number."""
    assert parse_signal({"signal": "INT"}) == parse_signal({"signal": 2}) == signal.SIGINT
    for value in ({}, [], {"signal": "INT", "grace": 5}, {"signal": "NO"}, {"signal": 0}, {"signal": None}):
        with pytest.raises(UsageError, match="expected"):
            parse_signal(value)


def test_resize_of_a_body():
    """The body of a resize names both numbers."""
    assert parse_resize({"columns": 1, "rows": 65535}) == Resize(1, 65535)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([80, 24], "expected an object with columns and rows, got [80, 24]"),
        ({"columns": 80}, "expected an object with columns and rows"),
        ({"columns": 80, "rows": 24, "x": 1}, "expected an object with columns and rows"),
        ({"columns": 0, "rows": 24}, "from 1 to 65535, got [0, 24]"),
        ({"columns": 80, "rows": 1000000}, "from 1 to 65535, got [80, 1000000]"),
        ({"columns": "80", "rows": 24}, "from 1 to 65535"),
        ({"columns": True, "rows": 24}, "from 1 to 65535"),
    ],
)
def test_resizes_without_a_meaning(body: object, expected: str):
    """Anything else is refused, with what was expected."""
    with pytest.raises(UsageError) as caught:
        parse_resize(body)
    assert expected in str(caught.value)
