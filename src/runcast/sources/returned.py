"""What a function returned, as JSON for its outcome."""

from __future__ import annotations

import contextlib
import json

from runcast.json_objects import parse_object

__all__ = ["as_value"]

_VALUE_BYTES = 1024 * 1024


def as_value(value: object) -> object:
    """Return the result of a function as JSON values; its `repr` if it is not JSON, or too large."""
    try:
        text = json.dumps(value, allow_nan=False)
    except Exception:  # methods of the value may raise anything
        text = ""
    if text and len(text) <= _VALUE_BYTES:
        with contextlib.suppress(ValueError):  # nested too deeply to be read back
            return parse_object(b'{"value":' + text.encode() + b"}")["value"]
    try:
        return repr(value)[: _VALUE_BYTES // 4]
    except Exception as error:
        return f"<{type(value).__name__} whose repr fails: {error!r}>"
