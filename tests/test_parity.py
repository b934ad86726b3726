"""Sync and async are one API: the same names, parameters and first lines, `await` aside."""

import inspect
from collections.abc import AsyncIterator, Callable
from types import ModuleType

import pytest

from runcast import AsyncRun, Run, aio, api

BLOCKING = {
    "output",
    "wait",
    "wait_for",
    "stop",
    "kill",
    "signal",
    "send",
    "resize",
    "note",
    "read_artifact",
    "save_artifacts",
    "pin",
    "unpin",
    "start",
    "get",
}
"""What blocks in one world is awaited in the other; all else is called alike in both."""


def surface(of: type | ModuleType) -> dict[str, object]:
    """Return the public names of a class, or of a module that are its own functions."""
    if isinstance(of, ModuleType):
        own = [value for value in vars(of).values() if getattr(value, "__module__", "") == of.__name__]
        return {one.__name__: one for one in own if inspect.isfunction(one) and one.__name__[0] != "_"}
    return {name: inspect.getattr_static(of, name) for name in dir(of) if name[0] != "_"}


def first_line(value: object) -> str:
    return (inspect.getdoc(value) or "").partition("\n")[0]


def parameters(function: Callable[..., object]) -> list[tuple[str, object, object, str]]:
    """Return name, kind, default and type of each parameter, with Run and AsyncRun as one."""
    return [
        (one.name, one.kind, one.default, str(one.annotation).replace("AsyncRun", "Run"))
        for one in inspect.signature(function).parameters.values()
        if one.name != "self"
    ]


PAIRS = [(Run, AsyncRun), (api, aio)]


@pytest.mark.parametrize(("sync", "async_"), PAIRS, ids=["runs", "functions"])
def test_same_names(sync: type | ModuleType, async_: type | ModuleType):
    """What the one has, the other has."""
    assert surface(sync).keys() == surface(async_).keys()


def test_same_exports():
    """`from runcast.aio import *` gives the functions of the package, and the run of its own."""
    assert set(aio.__all__) - {"AsyncRun"} == set(api.__all__)


def twins() -> list[tuple[str, object, object]]:
    return [
        (f"{getattr(sync, '__name__', sync)}.{name}", value, surface(async_)[name])
        for sync, async_ in PAIRS
        for name, value in surface(sync).items()
        if name in surface(async_)
    ]


@pytest.mark.parametrize(("name", "sync", "async_"), twins(), ids=[name for name, *_ in twins()])
def test_twins(name: str, sync: object, async_: object):
    """Each pair has the same parameters and begins its docstring alike, and awaits what would block."""
    assert first_line(sync) == first_line(async_) != ""
    if not inspect.isfunction(sync):
        assert sync is async_  # inherited from what both share
        return
    assert inspect.isfunction(async_)
    assert parameters(sync) == parameters(async_)
    if sync is not async_:
        assert inspect.iscoroutinefunction(async_) == (name.rpartition(".")[2] in BLOCKING)


def test_same_iterators():
    """What is iterated over in the one is iterated over asynchronously in the other, and called alike."""
    for name in ("follow", "lines"):
        said = str(inspect.signature(getattr(AsyncRun, name)).return_annotation)
        assert said.replace("Async", "") == str(inspect.signature(getattr(Run, name)).return_annotation)
        assert said.startswith(AsyncIterator.__name__)


def test_same_context_managers():
    """Both are used in a `with`, each in its own kind."""
    assert first_line(Run.__exit__) == first_line(AsyncRun.__aexit__)
    assert not hasattr(Run, "__aenter__")
    assert not hasattr(AsyncRun, "__enter__")
