"""The tree of errors: what hangs where, what they say, and that they travel."""

import inspect
import pickle
import re

import pytest

from runcast import errors
from runcast.errors import (
    FormatTooNew,
    LineNotFound,
    NotAcceptable,
    OffsetBeyondTail,
    OffsetGone,
    RuncastError,
    RunFailed,
    RunNotFound,
    StartFailed,
    StoreUnusable,
    UsageError,
    WaitTimeout,
)
from runcast.model import Outcome, Reason

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RuncastError)]
EXAMPLES = [
    RunNotFound("abcd", "the store /s", ("abcde", "abcdf")),
    RunFailed("01abc", Outcome(Reason.EXITED, 3)),
    StartFailed("01abc", Outcome(Reason.FAILED_TO_START, 127, message="no such file")),
    LineNotFound("01abc", "exited", "ready", 7),
    OffsetBeyondTail(11, 10),
    OffsetGone(5, 100),
    NotAcceptable("image/png", ("text/plain", "text/event-stream")),
    UsageError("expected this, got that"),
    WaitTimeout("still running"),
    FormatTooNew("too new"),
]


def test_tree_in_the_docstring():
    """The tree that the module draws is the tree that there is, with its statuses."""
    drawn = re.findall(r"^ {4}([│ ]*)(?:[├└]── )?(\w+)(.*)$", errors.__doc__, re.MULTILINE)
    path: list[str] = []
    seen = set()
    for indent, name, rest in drawn:
        depth = 0 if name == "RuncastError" else len(indent) // 4 + 1
        path[depth:] = [name]
        kind = getattr(errors, name)
        seen.add(kind)
        if depth:
            assert kind.__mro__[1] is getattr(errors, path[depth - 1])
        if status := re.search(r"\((\d+)\)", rest):
            assert kind.http_status == int(status.group(1)), name

    assert seen == set(KINDS)
    assert set(errors.__all__) - {"RunStopped"} == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_travel(error: RuncastError):
    """An error comes back from another process as it was: kind, message and data."""
    back = pickle.loads(pickle.dumps(error))

    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_messages(error: RuncastError):
    """A message is one sentence: it begins lower-case, and has neither a line break nor a full stop."""
    text = str(error)

    assert text[0].islower()
    assert "\n" not in text
    assert not text.endswith(".")


def test_what_a_message_tells():
    """A message says what was expected, what came, and what to do."""
    assert "up to the tail, which is 10 now, got 11: use 10" in str(OffsetBeyondTail(11, 10))
    assert "offset 5 to 100 are no longer kept: continue at 100" in str(OffsetGone(5, 100))
    assert "no run 'abcd' in the store /s; did you mean abcde or abcdf?" in str(EXAMPLES[0])
    assert "`runcast ls` lists the runs" in str(RunNotFound("abcd", "the store /s"))
    assert "run 01abc was not ok: exit code 3" in str(EXAMPLES[1])


def test_what_python_calls_them():
    """They are caught as Python's own kinds, too: a bad value, a missing key, a timeout."""
    assert issubclass(UsageError, ValueError)
    assert issubclass(RunNotFound, LookupError)
    assert issubclass(WaitTimeout, TimeoutError)
    assert issubclass(FormatTooNew, StoreUnusable)
