"""The messages that a viewer sends over a WebSocket: JSON objects with one verb each.

    {"stdin": "yes\\n"}   {"stdin": {"base64": "AAEC"}, "eof": true}   {"eof": true}
    {"resize": [80, 24]}   {"signal": "INT"}   {"stop": {"signal": "TERM", "grace": 5}}

The bodies of the HTTP API's `stop` and `signal` are parsed here too. Authorization is decided
elsewhere.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from signal import Signals

from runcast.errors import UsageError
from runcast.model import CELLS_MOST

__all__ = [
    "ClientMessage",
    "Resize",
    "Signal",
    "Stdin",
    "Stop",
    "parse_client_message",
    "parse_note",
    "parse_resize",
    "parse_signal",
    "parse_stop",
]

_MOST_SECONDS = 1e9  # 30 years; JSON allows numbers that overflow a clock


@dataclass(frozen=True, slots=True)
class Stdin:
    """Write to the program's input; `eof` ends it behind `data`."""

    data: bytes
    eof: bool = False


@dataclass(frozen=True, slots=True)
class Resize:
    """Give the terminal another size."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to the run."""

    number: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the run, and kill it after `grace` seconds. None stands for the default."""

    signal: int | None = None
    grace: float | None = None


ClientMessage = Stdin | Resize | Signal | Stop


def parse_client_message(message: str | bytes) -> ClientMessage:
    """Parse a message.

    Raises:
        UsageError: it is not text, not a JSON object, or has not exactly one known verb.
    """
    if not isinstance(message, str):
        raise UsageError("expected a text message with a JSON object, got a binary one")
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        raise UsageError(f"expected a JSON object, got {message[:80]!r}") from None
    if not isinstance(value, dict):
        raise UsageError(f"expected a JSON object, got {message[:80]!r}")
    verb = "stdin" if "eof" in value else ""
    verbs = sorted({verb, *value} - {"", "eof"})
    if verbs == ["stdin"]:
        return _stdin(value)
    if verbs == ["resize"]:
        return _resize(value["resize"])
    if verbs == ["signal"]:
        return Signal(_signal(value["signal"]))
    if verbs == ["stop"]:
        return parse_stop(value["stop"])
    names = ", ".join(map(repr, verbs))[:80] or "none"
    raise UsageError(f"expected one of stdin, eof, resize, signal and stop, got {names}")


def parse_stop(value: object) -> Stop:
    """Parse an object `{"signal": "TERM", "grace": 5}`; both keys are optional.

    Raises:
        UsageError: it is not such an object, or has other keys.
    """
    if not isinstance(value, dict) or set(value) - {"signal", "grace"}:
        raise UsageError(f"expected stop to be an object with signal and grace, got {_shown(value)}")
    grace = value.get("grace")
    if grace is not None and not (_is_number(grace) and 0 <= grace <= _MOST_SECONDS):
        raise UsageError(f"expected grace to be a number of seconds from 0 to 10^9, got {_shown(grace)}")
    number = value.get("signal")
    return Stop(None if number is None else _signal(number), None if grace is None else float(grace))


def parse_signal(value: object) -> int:
    """Return the number of the signal in an object `{"signal": "INT"}`.

    Raises:
        UsageError: it is not such an object, or names no signal.
    """
    if not isinstance(value, dict) or set(value) != {"signal"}:
        raise UsageError(f"expected an object with signal and nothing else, got {_shown(value)}")
    return _signal(value["signal"])


def parse_note(value: object) -> str:
    """Parse the body of a note; what a note may be is checked where it is taken.

    Raises:
        UsageError: it has no text.
    """
    if not isinstance(value, dict) or value.keys() != {"text"} or not isinstance(value["text"], str):
        raise UsageError(f'expected {{"text": "…"}}, got {_shown(value)}')
    return value["text"]


def parse_resize(value: object) -> Resize:
    """Parse an object `{"columns": 100, "rows": 30}`.

    Raises:
        UsageError: it is not such an object, or there is no such size.
    """
    if not isinstance(value, dict) or set(value) != {"columns", "rows"}:
        raise UsageError(f"expected an object with columns and rows, got {_shown(value)}")
    return _resize([value["columns"], value["rows"]])


def _stdin(value: dict[str, object]) -> Stdin:
    data, eof = value.get("stdin", ""), value.get("eof", False)
    if not isinstance(eof, bool):
        raise UsageError(f"expected eof to be true or false, got {_shown(eof)}")
    try:
        if isinstance(data, str):
            return Stdin(data.encode(), eof)
        if isinstance(data, dict) and set(data) == {"base64"} and isinstance(data["base64"], str):
            return Stdin(b64decode(data["base64"], validate=True), eof)
    except ValueError:  # half a surrogate pair, or no base 64
        pass
    raise UsageError(f'expected stdin to be text or {{"base64": "…"}}, got {_shown(data)}')


def _resize(value: object) -> Resize:
    match value:
        case [int(columns), int(rows)] if columns is not True and rows is not True:
            if 0 < columns <= CELLS_MOST and 0 < rows <= CELLS_MOST:
                return Resize(columns, rows)
    raise UsageError(f"expected resize to be [columns, rows], from 1 to {CELLS_MOST}, got {_shown(value)}")


def _signal(value: object) -> int:
    if isinstance(value, str):
        name = value.upper()
        try:
            return int(Signals[name if name.startswith("SIG") else f"SIG{name}"])
        except KeyError:
            pass
    elif isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 64:
        return value
    raise UsageError(
        f"expected signal to be a name such as INT or a number from 1 to 64, got {_shown(value)}"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return json.dumps(value)[:80]
