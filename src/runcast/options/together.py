"""Start options that cannot be had together: what no option by itself is wrong about.

Owns these refusals for every way to start a run. What one option takes is the table's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runcast.errors import UsageError
from runcast.options.table import OPTIONS

__all__ = ["PLACES", "check_together"]

PLACES: Final = {
    "stdin": "input",
    "file": "payload",
}  # where a command finds what it is given, by which option


def check_together(values: Mapping[str, Any]) -> None:
    """Refuse values that cannot be had together.

    Raises:
        UsageError: some of them cannot.
    """
    stdin, data, tty = values.get("stdin"), values.get("input"), values.get("tty")
    if stdin is not None and data is not None:
        raise UsageError("expected stdin or input, got both: choose one of them")
    if tty is True and (data is not None or stdin not in (None, "pipe")):
        raise UsageError(
            f"expected no {'stdin' if data is None else 'input'} with tty=True, whose stdin is the terminal: "
            'send it (Run.send), or use tty="stdout", where stdin is apart'
        )
    for name in ("columns", "rows"):
        if not tty and values.get(name, OPTIONS[name].default) != OPTIONS[name].default:
            raise UsageError(f"expected tty with {name}={values[name]}: without it there is no terminal")
    for name in ("max_running", "replace"):
        if values.get("queue") is None and values.get(name, OPTIONS[name].default) != OPTIONS[name].default:
            raise UsageError(f"expected queue with {name}={values[name]}: without one the run waits for none")
