"""When a terminal's questions have replies, and which."""

import pytest

from runcast.supervisor.answers import Answers


class Terminal:
    """What replies are typed into."""

    def __init__(self) -> None:
        self.typed: list[bytes] = []
        self.canonical = False

    def answers(self) -> Answers:
        return Answers(self.typed.append, lambda: 24, lambda: self.canonical)


@pytest.mark.parametrize("at", range(12))
def test_replies(at: int):
    """Each question has one reply, in order, wherever the output is cut."""
    terminal = Terminal()
    answers = terminal.answers()

    for piece in ((data := b"a\x1b[6nb\x1b[cc\x1b[?31$p")[:at], data[at:], b"\x1b[1m"):
        answers.watch(piece)

    assert b"".join(terminal.typed) == b"\x1b[24;1R\x1b[?1;2c"


def test_canonical():
    """In canonical mode nobody could read a reply before a line is typed: there is none."""
    terminal = Terminal()
    answers = terminal.answers()
    terminal.canonical = True
    answers.watch(b"\x1b[6n")
    terminal.canonical = False
    answers.watch(b"\x1b[c")

    assert terminal.typed == [b"\x1b[?1;2c"]


def test_flood():
    """Output full of questions has few replies to each piece."""
    terminal = Terminal()
    terminal.answers().watch(b"\x1b[6n" * 1000)

    assert terminal.typed == [b"\x1b[24;1R" * 16]
