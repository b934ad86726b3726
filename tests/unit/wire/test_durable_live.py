"""Live: cursors that only grow, and events that hold what is in them."""

import json
from base64 import b64decode

import pytest

from runcast.wire.durable_live import control_event, cursor_after, data_event, sendable_bytes, waited_until

NOW = 1_800_000_000.0
CURRENT = 71_568_000_000_000  # microseconds from 2024-10-09 to then


def test_cursor():
    """The cursor of a reply is the time that it has reached, for whoever has an earlier one or none."""
    assert cursor_after(None, NOW) == CURRENT
    assert cursor_after(str(CURRENT - 1), NOW) == CURRENT
    assert cursor_after("3578400", NOW) == CURRENT  # of a server that counts twenty seconds
    assert cursor_after(None, NOW + 0.25) == CURRENT + 250_000
    assert cursor_after(None, 0.0) == 0
    for strange in ("", "x", "-1", "9" * 40, "1.5", "\u0661"):
        assert cursor_after(strange, NOW) == CURRENT


@pytest.mark.parametrize("ahead", [0, 1, 500])
def test_cursor_goes_on(ahead: int):
    """One that is not behind goes further, so that no reply is given twice, and for all to the same."""
    assert cursor_after(str(CURRENT + ahead), NOW) == CURRENT + ahead + 1


def test_cursor_of_those_who_wait():
    """Those who waited in vain have the same cursor, whenever in twenty seconds that ended."""
    assert waited_until(NOW) == waited_until(NOW + 19.9) == NOW
    assert waited_until(NOW + 20) == NOW + 20


def parsed(event: bytes) -> tuple[str, str]:
    """Return name and data of an event, as a client reads it."""
    assert event.endswith(b"\n\n")
    assert b"\r" not in event
    lines = event.decode().removesuffix("\n\n").split("\n")
    assert "" not in lines
    name = lines[0].removeprefix("event: ")
    return name, "\n".join(line.removeprefix("data:") for line in lines[1:] if line.startswith("data:"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"one\ntwo", "one\ntwo"),
        (b"a\r\n\r\nevent: control\rdata: x\n", "a\n\nevent: control\ndata: x\n"),
        (b" led by a space", " led by a space"),
        (b"\xff\xe2\x80\xa8", "\ufffd\u2028"),
    ],
)
def test_text(data: bytes, said: str):
    """Text is said line by line; whatever is in it stays data."""
    assert parsed(data_event(data, "text/plain")) == ("data", said)


def test_json_and_bytes():
    """Messages are an array, all other bytes base64."""
    assert parsed(data_event(b'{"a":1}\n2\n', "application/json")) == ("data", '[{"a":1},2]')
    name, said = parsed(data_event(bytes(range(256)), "image/png"))
    assert (name, b64decode(said)) == ("data", bytes(range(256)))


def test_control():
    """A control event says how far, and either how to go on or that there is no more."""
    name, said = parsed(control_event(7, 5, up_to_date=True, closed=False))
    assert name == "control"
    assert json.loads(said) == {"streamNextOffset": "0" * 19 + "7", "streamCursor": "5", "upToDate": True}
    said = parsed(control_event(7, 5, up_to_date=False, closed=False))[1]
    assert "upToDate" not in json.loads(said)
    said = parsed(control_event(7, 5, up_to_date=True, closed=True))[1]
    assert json.loads(said) == {"streamNextOffset": "0" * 19 + "7", "streamClosed": True}


def test_characters_are_not_cut():
    """An event of text ends between characters, unless nothing comes behind it."""
    data = "aé".encode()
    assert sendable_bytes(data[:2], "text/plain", final=False) == 1
    assert sendable_bytes(data[:2], "text/plain", final=True) == 2
    assert sendable_bytes(data, "text/plain", final=False) == 3
    assert sendable_bytes(data[:2], "image/png", final=False) == 2
