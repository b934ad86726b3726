"""What is undone of a terminal: what the program changed, and nothing else."""

import pytest

from runcast.escapes.screen_modes import ScreenModes

VIM = b"\x1b[?1049h\x1b[22;0;0t\x1b[>4;2m\x1b[?1h\x1b=\x1b[?2004h\x1b[?1004h\x1b[1;24r\x1b[?12h\x1b[?25l"
VIM += b"\x1b[1;31m"
VIM_ENDS = b"\x1b[m\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>\x1b[>4;m\x1b[r\x1b[?25h\x1b[?1049l\x1b[23;0;0t"


def after(*pieces: bytes) -> ScreenModes:
    """Return the modes behind some output."""
    modes = ScreenModes()
    for piece in pieces:
        modes.feed(piece)
    return modes


@pytest.mark.parametrize(
    ("output", "undo"),
    [
        (b"plain text\r\n", b""),
        (b"\x1b[31mred\x1b[0m\x1b[1mbold\x1b[m", b""),
        (b"\x1b[31mred", b"\x1b[m"),
        (b"\x1b[?25l", b"\x1b[?25h"),
        (b"\x1b[?7l", b"\x1b[?7h"),
        (b"\x1b[?1000h\x1b[?1006h", b"\x1b[?1006l\x1b[?1000l"),
        (b"\x1b[?1000;1006h\x1b[?1000l", b"\x1b[?1006l"),
        (b"\x1b[?2004h", b"\x1b[?2004l"),
        (b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"),
        (b"\x1b[?25l\x1b[?1049h", b"\x1b[?25h\x1b[?1049l"),  # the screen last, whatever came first
        (b"\x1b[2;5r", b"\x1b7\x1b[r\x1b8"),
        (b"\x1b[2;5r\x1b[r", b""),
        (b"\x1b=", b"\x1b>"),
        (b"\x1b(0qqq\x1b(B", b""),
        (b"\x1b(0qqq", b"\x1b(B"),
        (b"\x1b[>1u\x1b[>3u\x1b[<u", b"\x1b[<1u"),
        (b"\x1b[>4;2m", b"\x1b[>4m"),
        (b"\x1b[5 q", b"\x1b[0 q"),
        (b"\x1b[?1049h\x1b[?1000h\x1bc", b""),
        (b"\x1b[?12345h\x1b[?3h", b""),  # unknown ones, and one that changes the width of a window
        (VIM + VIM_ENDS, b""),
    ],
)
def test_undo(output: bytes, undo: bytes):
    """Each change is undone, and what was undone by the program is not."""
    assert after(output).undo == undo


@pytest.mark.parametrize("size", [1, 2, 5])
def test_pieces(size: int):
    """The same holds however the output comes in pieces."""
    output = VIM + b"\x1b(0"
    pieces = [output[at : at + size] for at in range(0, len(output), size)]

    assert after(*pieces).undo == after(output).undo
    assert after(*pieces, b"\x1b(B", VIM_ENDS).undo == b""


def test_redo():
    """What makes the changes again, undone, leaves nothing; and again, it makes the same changes."""
    modes = after(VIM)

    assert after(modes.redo).undo == modes.undo
    assert after(modes.redo, modes.undo).undo == b""
    assert after(b"plain").redo == b""


def test_full():
    """Who has the alternate screen has the whole screen."""
    assert after(VIM).full
    assert not after(VIM, VIM_ENDS).full


def test_rest_is_bounded():
    """Output full of beginnings of sequences is not kept."""
    modes = ScreenModes()
    for _ in range(100):
        modes.feed(b"\x1b[?" + b"1" * 5000)

    assert len(modes._found._held) <= 64
