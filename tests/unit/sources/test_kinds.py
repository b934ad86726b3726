"""What a source is, and what is none."""

import functools
import io
from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.sources.kinds import Kind, check_arguments, kind_of, name_of, take


def function(a: int, *, b: int = 0):
    pass


async def coroutine_function():
    pass


def generator():
    yield


async def async_generator():
    yield


class Called:
    def __call__(self):
        pass

    def method(self):
        pass

    @staticmethod
    def static():
        pass


class Anything(Called):
    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class CalledGenerator:
    def __call__(self):
        yield


class CalledLater:
    async def __call__(self):
        pass


class Once:
    def __iter__(self):
        return iter(())


class Later:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("ls -l", Kind.COMMAND),
        (["ls"], Kind.COMMAND),
        (("ls",), Kind.COMMAND),
        (Path("/bin/ls"), Kind.COMMAND),
        (function, Kind.FUNCTION),
        (lambda: None, Kind.FUNCTION),
        (print, Kind.FUNCTION),
        (Called, Kind.FUNCTION),
        (Called(), Kind.FUNCTION),
        (Called().method, Kind.FUNCTION),
        (Called.static, Kind.FUNCTION),
        (functools.partial(functools.partial(function, 1), b=2), Kind.FUNCTION),
        (Anything(), Kind.FUNCTION),
        (coroutine_function, Kind.ASYNC_FUNCTION),
        (functools.partial(coroutine_function), Kind.ASYNC_FUNCTION),
        (CalledLater(), Kind.ASYNC_FUNCTION),
        (generator, Kind.GENERATOR),
        (functools.partial(generator), Kind.GENERATOR),
        (CalledGenerator(), Kind.GENERATOR),
        (generator(), Kind.GENERATOR),
        (range(3), Kind.GENERATOR),
        (map(str, []), Kind.GENERATOR),
        (io.StringIO(), Kind.GENERATOR),
        ({1}, Kind.GENERATOR),
        (Once(), Kind.GENERATOR),
        (async_generator, Kind.ASYNC_GENERATOR),
        (async_generator(), Kind.ASYNC_GENERATOR),
        (Later(), Kind.ASYNC_GENERATOR),
    ],
)
def test_kinds(source: object, kind: Kind):
    """Each source is of one kind, told without calling it or going through it."""
    assert kind_of(source) is kind


@pytest.mark.parametrize("source", [None, 7, b"ls", bytearray(b"ls"), {"a": 1}, object()], ids=type)
def test_none(source: object):
    """What is no source is refused with what to write instead."""
    with pytest.raises(UsageError, match=r"or pass a function with its arguments behind it") as caught:
        kind_of(source)
    assert "expected a command" in str(caught.value)


def test_coroutine():
    """A coroutine belongs to one run, and one that has ended to none."""
    coroutine = coroutine_function()
    assert kind_of(coroutine) is Kind.COROUTINE
    take(coroutine)
    with pytest.raises(UsageError, match="expected a fresh coroutine, this one is another run's"):
        kind_of(coroutine)
    coroutine.close()

    ended = coroutine_function()
    ended.close()
    with pytest.raises(UsageError, match="expected a fresh coroutine, this one has ended"):
        kind_of(ended)


def test_iterables_again():
    """What can be gone through again may be the source of many runs."""
    values = range(3)
    take(values)

    assert kind_of(values) is Kind.GENERATOR


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (function, "function"),
        (functools.partial(function, 1), "function"),
        (generator(), "generator"),
        (Called(), "Called"),
        (Called().method, "Called.method"),
        (range(3), "range"),
        (lambda: None, "<lambda>"),
        (Anything(), "Anything"),
    ],
)
def test_names(source: object, name: str):
    """A source has a name for people, without the functions that it was written in."""
    assert name_of(source) == name


def test_name_of_an_inner_function():
    """The name of a function inside another is its own."""

    def inner():
        pass

    assert name_of(inner) == "inner"


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2), {}, "too many positional arguments"),
        ((1,), {"c": 1}, "got an unexpected keyword argument 'c'"),
    ],
)
def test_wrong_arguments(args: tuple[int, ...], kwargs: dict[str, int], error: str):
    """Arguments that a function does not take are told with its signature."""
    with pytest.raises(UsageError, match=r"function\(a: int, \*, b: int = 0\) takes: " + error):
        check_arguments(function, args, kwargs)


def test_arguments():
    """Arguments that fit pass, as do those of functions without a signature; only functions have any."""
    check_arguments(function, (1,), {"b": 2})
    check_arguments(max, (1, 2), {})
    check_arguments(iter([]), (), {})
    with pytest.raises(UsageError, match="expected arguments with a function only"):
        check_arguments(iter([]), (1,), {})
    with pytest.raises(UsageError, match=r"got them with \['ls'\]: a command is written as one list"):
        check_arguments(["ls"], ("-l",), {})
