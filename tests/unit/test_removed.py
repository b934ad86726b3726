"""Runs that somebody else removes, at any moment: before they are looked at, and while they are."""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import runcast
from runcast import Run, Store
from runcast.aio import AsyncRun
from runcast.errors import RunNotFound
from runcast.run.base import files_of
from runcast.web.http.messages import Request
from runcast.web.responder import Responder
from tests.unit.runs import make_run

OWN = os.path.dirname(runcast.__file__)
LOOKS: dict[str, Callable[[Run], object]] = {
    **{
        name: lambda run, name=name: getattr(run, name)
        for name in dir(Run)
        if not name.startswith("_") and isinstance(getattr(Run, name), property | cached_property)
    },
    "to_json": Run.to_json,
    "follow": lambda run: list(run.follow()),
    "tail": lambda run: list(run.follow(tail=1)),
    "lines": lambda run: list(run.lines()),
    "output": Run.output,
    "wait": Run.wait,
}
KNOWN = {"id"}  # also of a run that is gone
ACTS: dict[str, Callable[[Run], object]] = {
    "stop": Run.stop,
    "kill": Run.kill,
    "signal": lambda run: run.signal(15),
    "send": lambda run: run.send("x"),
}
ASYNC_LOOKS: dict[str, Callable[[AsyncRun], Any]] = {
    "output": AsyncRun.output,
    "wait": AsyncRun.wait,
    "stop": AsyncRun.stop,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one run, which has ended."""
    make_run(tmp_path / "store")
    return tmp_path / "store"


def removals(run: Run, look: Callable[[], object]) -> Iterator[object]:
    """Look again and again, a run taken out of its store before each line of ours in turn.

    Yields what the look returned or raised, until it was over before the run went.
    """
    folder = Path(files_of(run).path)
    away = folder.with_name(f".gone-{run.id}")  # as the store does it
    for number in itertools.count(1):
        left = number

        def trace(frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.startswith(OWN):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    folder.rename(away)
            return trace

        former = sys.gettrace()
        sys.settrace(trace)
        try:
            seen = look()
        except Exception as error:
            seen = error
        finally:
            sys.settrace(former)
        yield seen
        if not away.exists():
            return
        away.rename(folder)


@pytest.mark.parametrize("name", sorted((LOOKS | ACTS).keys() - KNOWN))
def test_removed(folder: Path, name: str):
    """Whatever is looked at, or done, of a run that was removed since it was listed: it is not found."""
    (run,) = Store.open(folder).list()
    Store.open(folder).remove(run.id)

    with pytest.raises(RunNotFound, match="it was removed"):
        (LOOKS | ACTS)[name](run)


@pytest.mark.parametrize("name", ASYNC_LOOKS)
def test_removed_asyncio(folder: Path, name: str):
    """The awaiting face says the same."""
    (run,) = Store.open(folder).list()
    found = AsyncRun(files_of(run).path)
    Store.open(folder).remove(run)

    with pytest.raises(RunNotFound, match="it was removed"):
        asyncio.run(ASYNC_LOOKS[name](found))


def test_shown(folder: Path):
    """A run that was removed is shown as such; its id and what was read of it are known still."""
    (run,) = Store.open(folder).list()
    name = run.name
    Store.open(folder).remove(run)

    assert repr(run) == f"<Run {run.id} removed>"
    assert run.name == name


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS)
def test_removed_meanwhile(folder: Path, name: str):
    """Removed before any line of a look, a run is seen as it was, or is not found: never anything else."""
    (listed,) = Store.open(folder).list()
    whole = LOOKS[name](listed)
    seen = list(removals(listed, lambda: LOOKS[name](Run(files_of(listed).path))))

    assert seen[-1] == whole
    assert [one for one in seen if not isinstance(one, RunNotFound) and one != whole] == []


@pytest.mark.slow
def test_list_meanwhile(folder: Path):
    """The list over HTTP has a run that is being removed as it was, or has it not."""
    responder = Responder(Store.open(folder))
    (run,) = Store.open(folder).list()
    request = Request("GET", "/runs", "", "", {}, b"", "http")
    whole = json.loads(responder.respond(request).body)
    seen = list(removals(run, lambda: json.loads(responder.respond(request).body)))

    assert len(whole["runs"]) == 1
    assert [one for one in seen if one not in (whole, {**whole, "runs": []})] == []
