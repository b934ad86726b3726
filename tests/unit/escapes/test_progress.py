"""What OSC 9;4 means."""

import pytest

from runcast.escapes.progress import PROGRESS, progress_of


@pytest.mark.parametrize(
    ("sequence", "done", "status"),
    [
        (b"\x1b]9;4;1;42\x07", 42, "running"),
        (b"\x1b]9;4;1;42\x1b\\", 42, "running"),
        (b"\x1b]9;4;1;250\x07", 100, "running"),
        (b"\x1b]9;4;1\x07", None, "running"),
        (b"\x1b]9;4;3;\x1b\\", None, "running"),
        (b"\x1b]9;4;3;7\x1b\\", None, "running"),  # indeterminate
        (b"\x1b]9;4;2;80\x07", 80, "error"),
        (b"\x1b]9;4;2\x07", None, "error"),
        (b"\x1b]9;4;4;10\x07", 10, "paused"),
        (b"\x1b]9;4;0;0\x1b\\", None, "done"),
        (b"\x1b]9;4;0;\x1b\\", None, "done"),
    ],
)
def test_meaning(sequence: bytes, done: int | None, status: str):
    """A state and a value in percent become progress with a status; without a value it is indeterminate."""
    match = PROGRESS.fullmatch(sequence)
    assert match is not None

    total = None if done is None else 100
    assert progress_of(match) == {"done": done, "total": total, "text": "", "status": status}


@pytest.mark.parametrize(
    "sequence",
    [b"\x1b]9;4;5;1\x07", b"\x1b]9;4\x07", b"\x1b]9;4;1;1000\x07", b"\x1b]9;4;1;x\x07", b"]9;4;1;1\x07"],
)
def test_none(sequence: bytes):
    """What is no such sequence has no meaning."""
    assert PROGRESS.search(sequence) is None
