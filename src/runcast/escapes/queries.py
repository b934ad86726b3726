"""What programs ask a terminal, and what terminals reply (xterm's ctlseqs).

Owns the replies of a run's terminal: few, fixed, with nothing of the question in them. So output that is
shown by accident, such as a file of somebody else, cannot have text of its own typed. The position of
the cursor is the first column of the last row, whatever it is: a program that goes by it then draws
downwards from the bottom, as after much output; from the top, prompt_toolkit fills the screen with empty
lines. Other questions have no reply: programs take that for a terminal that lacks what they ask for.

Owns the other side, too: terminals that are attached to a run must neither see such questions nor send
replies of theirs (`without_queries`, `without_replies`).
"""

from __future__ import annotations

import re

__all__ = ["ANSWERED", "Without", "answer", "without_queries", "without_replies"]

# Branches that begin with different bytes take half the time of shorter ones, in coloured output.
ANSWERED = re.compile(rb"\x1b\[(?:[56]n|c|0c|>c|>0c|\?[56]n|\?[0-9]{1,4}\$p)")
_VT100 = b"\x1b[?1;2c"  # with advanced video
_VT100_VERSION = b"\x1b[>0;10;1c"  # that of an xterm has vim, emacs and others ask for much more
# Modes that programs ask for. None is known: its state is not.
_MODES = (
    *(1, 7, 9, 12, 25, 45, 47, 66, 69, 80, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016),
    *(1034, 1036, 1039, 1042, 1047, 1048, 1049, 1070, 2004, 2026, 2027, 2031, 2048),
)
_FIXED = {
    b"\x1b[5n": b"\x1b[0n",
    b"\x1b[c": _VT100,
    b"\x1b[0c": _VT100,
    b"\x1b[>c": _VT100_VERSION,
    b"\x1b[>0c": _VT100_VERSION,
    **{b"\x1b[?%d$p" % mode: b"\x1b[?%d;0$y" % mode for mode in _MODES},
}


def answer(query: bytes, rows: int) -> bytes:
    """Return the reply to a match of `ANSWERED`; empty where there is none.

    Args:
        query: the whole sequence.
        rows: of the terminal.
    """
    if query == b"\x1b[6n":
        return b"\x1b[%d;1R" % rows
    if query == b"\x1b[?6n":
        return b"\x1b[?%d;1R" % rows
    return _FIXED.get(query, b"")


# What else a terminal takes for a question, such as CSI as a C1 code, has its reply removed.
_QUERY = re.compile(
    rb"\x1b(?:\[(?:[56]n|\?[0-9;]*n|[>=]?0?c|\??[0-9;]*\$p|>0?q|\?u|\?[0-9;]+S|[01]?x|[0-9;]*\*y"
    rb"|(?:1[1345689]|2[01])(?:;[0-9]*)?t)"
    rb"|Z"
    rb"|\][0-9]+;(?:[^\x07\x1b]{0,256};)?\?(?:\x07|\x1b\\)"
    rb"|P[+$]q[^\x07\x1b]{0,4096}(?:\x07|\x1b\\))"
)
_QUERY_BEGINS = re.compile(
    rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}|\][0-9]*(?:;[^\x07\x1b]{0,256})?\x1b?"
    rb"|P(?:[+$](?:q[^\x07\x1b]{0,4096}\x1b?)?)?)?\Z"
)
_ENQ = b"\x05"  # some terminals reply with their name
# F3 with Shift and others is CSI 1 ; 2 to 16 R, which looks like a position in the first row.
_REPLY = re.compile(
    rb"\x1b(?:\[(?:(?!1;(?:[2-9]|1[0-6])R)[0-9]+;[0-9]+R|\?[0-9;]*[cRnuS]|[>=][0-9;]*c|[03]n|\??[0-9;]*\$y"
    rb"|[0-9;]+t|[23];[0-9;]+x)"
    rb"|\][0-9]+;[^\x07\x1b]{0,65536}(?:\x07|\x1b\\)"
    rb"|[P_][^\x1b]{0,65536}\x1b\\)"
)
_REPLY_BEGINS = re.compile(
    rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}|\][0-9]*(?:;[^\x07\x1b]{0,65536})?\x1b?|[P_][^\x1b]{0,65536}\x1b?)\Z"
)


class Without:
    """Removes sequences from bytes that come in pieces. Use `without_queries` or `without_replies`.

    What may be the beginning of one at the end of a piece is held until the next; `flush` gives it up.
    """

    def __init__(
        self, found: re.Pattern[bytes], begins: re.Pattern[bytes], control: bytes = b"", instead: bytes = b""
    ) -> None:
        self._found, self._begins, self._control, self._instead = found, begins, control, instead
        self._held = b""

    @property
    def held(self) -> bool:
        """Whether the end of the last piece is held."""
        return bool(self._held)

    def feed(self, data: bytes) -> bytes:
        """Return the next piece without the sequences."""
        data, self._held = self._held + data, b""
        if self._control:
            data = data.replace(self._control, b"")
        if b"\x1b" not in data:
            return data
        data = self._found.sub(lambda _: self._instead, data)
        if cut := self._begins.search(data):
            data, self._held = data[: cut.start()], cut[0]
        return data

    def flush(self) -> bytes:
        """Return what is held: it is no such sequence, or will not be whole."""
        held, self._held = self._held, b""
        return held


def without_queries() -> Without:
    """Return what removes questions from output before a terminal shows it: it would reply.

    Its replies may be those to history, or one of several. In place of a question stands ST, so that
    nothing around it becomes one. `flush` it at the end of the output only.
    """
    return Without(_QUERY, _QUERY_BEGINS, _ENQ, b"\x1b\\")


def without_replies() -> Without:
    """Return what removes replies of a terminal from what is typed there.

    A lone ESC is never held. `flush` it when nothing was typed for some 50 ms: Alt and a letter
    look like a beginning.
    """
    return Without(_REPLY, _REPLY_BEGINS)
