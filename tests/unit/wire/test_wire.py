"""The room as a whole."""

import ast
from pathlib import Path

import pytest

from runcast import wire
from runcast.model import Outcome, Reason, State
from runcast.wire import Encoder, ResumePoint
from runcast.wire.forms import FORMS, SSE, TEXT, Form
from tests.unit.wire.logs import ERR, OUT, RUN, Pieces

ALIVE = [form for form in FORMS.values() if form.encoder is not None]
WHOLE = [form for form in FORMS.values() if form.encoder is None]


@pytest.mark.parametrize("form", ALIVE, ids=str)
def test_encoder(form: Form):
    """Every streaming form has an encoder, which begins at the resume point and ends at the tail."""
    log = Pieces([(OUT, b"first\nsecond\xe2\x82")])
    made = form.encode(RUN, ResumePoint(6))

    said = b"".join(log.feed(made))

    assert isinstance(made, Encoder)
    assert made.key == (ResumePoint(14, fresh=form is not TEXT), 14)
    assert b"first" not in said
    assert said


def test_options():
    """Options reach the form that has them."""
    text = TEXT.encode(RUN, **TEXT.pick(named=True, end=True))
    events = SSE.encode(RUN, **SSE.pick(named=True, end=True))

    assert text.exit(State.EXITED, Outcome(Reason.EXITED, 0)) == b"[runcast: exit code 0]\n"
    assert events.feed(Pieces([(ERR, b"x\n")]).read(0)).startswith(b"event: stderr\n")


@pytest.mark.parametrize("form", WHOLE, ids=str)
def test_no_encoder(form: Form):
    """A form of one reply has none."""
    with pytest.raises(ValueError, match="expected a streaming form"):
        form.encode(RUN)


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
