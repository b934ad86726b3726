"""Runs in terminals of their own, for tests of what holds for them as for runs with pipes."""

from collections.abc import Sequence
from typing import Final

import pytest

from runcast import Run
from tests.helpers.wait import MS, wait_until

DEADLINE: Final = 30000 * MS

in_both: Final = pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
"""Runs a test twice: with pipes, and in a terminal."""


def verbatim(argv: Sequence[str], tty: bool | str) -> list[str]:
    """Return a command whose terminal, if it has one, passes its bytes on as they are."""
    return ["sh", "-c", 'stty -opost <&1; exec "$@"', "sh", *argv] if tty else list(argv)


def screen(run: Run) -> str:
    """Return all that was written so far."""
    return b"".join(chunk.data for chunk in run.log().read(0).chunks).decode(errors="replace")


def shows(run: Run, text: str) -> None:
    """Wait until a program has written something."""
    wait_until(lambda: text in screen(run), DEADLINE, f"{text!r} in {run.command}")
