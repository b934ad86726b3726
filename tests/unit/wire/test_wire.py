"""The room as a whole."""

import ast
from pathlib import Path

import pytest

from runcast import wire
from runcast.model import Outcome, Reason, State
from runcast.wire import Encoder, Format, Place, encoder
from tests.unit.wire.logs import ERR, OUT, RUN, Pieces

ALIVE = [Format.TEXT, Format.SSE, Format.SSE_JSON, Format.NDJSON, Format.WS, Format.ASCIICAST]


@pytest.mark.parametrize("form", ALIVE)
def test_encoder(form: Format):
    """Every form that goes on and on has an encoder, which begins at the place and ends at the tail."""
    log = Pieces([(OUT, b"first\nsecond\xe2\x82")])
    made = encoder(form, RUN, Place(6))

    said = b"".join(log.feed(made))

    assert isinstance(made, Encoder)
    assert made.key == (Place(14, fresh=form is not Format.TEXT), 14)
    assert b"first" not in said
    assert said


def test_options():
    """Options reach the form that has them."""
    text = encoder(Format.TEXT, RUN, end=True)
    events = encoder(Format.SSE, RUN, named=True)

    assert text.exit(State.EXITED, Outcome(Reason.EXITED, 0)) == b"[runcast: exit code 0]\n"
    assert events.feed(Pieces([(ERR, b"x\n")]).read(0)).startswith(b"event: stderr\n")


@pytest.mark.parametrize("form", [Format.POLL, Format.HTML])
def test_no_encoder(form: Format):
    """A form of one reply has none."""
    with pytest.raises(ValueError, match="expected a form that goes on and on"):
        encoder(form, RUN)


def test_pure():
    """The room does no I/O: it imports nothing of the standard library that could, and nothing else."""
    pure = {"abc", "base64", "binascii", "collections", "dataclasses", "datetime", "enum", "functools"}
    pure |= {"http", "itertools", "json", "math", "random", "re", "signal", "time", "typing", "__future__"}
    found = set()
    for path in Path(wire.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])

    assert found <= pure | {"runcast"}
    assert "runcast" in found
