"""Generators and iterables as runs: advanced as they are wanted, whoever wants them, and ended well."""

import asyncio
import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import runcast
from runcast import Channel, Reason, Run, State, Store
from runcast.errors import UsageError
from runcast.run.base import files_of
from runcast.sources.recording import _recordings
from tests.helpers.children import fds, run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS
SOON = 0.3  # seconds: what must not happen has had its chance by then


class Counted:
    """Numbers from 1, and how many were asked for."""

    def __init__(self, last: int | None = None) -> None:
        self.made = 0
        self.closed = threading.Event()
        self._last = last

    def numbers(self) -> Iterator[str]:
        """Give them as lines."""
        try:
            while self._last is None or self.made < self._last:
                self.made += 1
                yield f"{self.made}"
        finally:
            self.closed.set()

    async def slowly(self) -> AsyncIterator[str]:
        """Give them as lines, to a loop."""
        try:
            while self._last is None or self.made < self._last:
                await asyncio.sleep(0)
                self.made += 1
                yield f"{self.made}"
        finally:
            self.closed.set()

    def stays(self, made: int) -> None:
        """Wait until so many were made, and see that it stays so."""
        wait_until(lambda: self.made >= made, DEADLINE, f"{made} values")
        assert not self.closed.wait(SOON)
        assert self.made == made


KINDS = ("numbers", "slowly")
both = pytest.mark.parametrize("kind", KINDS)


def threads_of(run: Run) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if run.id in thread.name]


# What values become


def test_values(store: Store):
    """A str is a line, bytes are raw output, all else is JSON on channel data; in their order."""

    def values():
        yield "one"
        yield "two\n"
        yield "three\nfour"
        yield ""
        yield b"raw \xff"
        yield bytearray(b"\n")
        yield {"n": 1}
        yield [1, None, "x\ny"]
        yield None
        yield 7
        yield "sur\udcffro\ud800gate"

    run = store.start(values)

    assert run.output(encoding=None) == (
        b'one\ntwo\nthree\nfour\n\nraw \xff\n{"n":1}\n[1,null,"x\\ny"]\nnull\n7\nsur\\udcffro\\ud800gate\n'
    )
    assert run.output(channel="data") == '{"n":1}\n[1,null,"x\\ny"]\nnull\n7\n'
    assert run.wait().ok


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object(), {(1, 2): 3}], ids=type)
def test_values_that_are_none(store: Store, value: object):
    """What is neither text, bytes nor JSON fails the run, and the error says what to yield."""
    closed = threading.Event()

    def values():
        try:
            yield "before"
            yield value
        finally:
            closed.set()

    run = store.start(values)
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.code, outcome.ok) == (1, False)
    assert run.output(channel="stdout") == "before\n"
    assert "expected values that are str, bytes or JSON" in run.output(channel="stderr")
    assert closed.wait(DEADLINE)


@both
def test_prints(store: Store, kind: str):
    """What a generator prints is captured, in its place between the values."""

    def numbers():
        print("begins")
        yield "one"
        print("partial", end="")
        print("oh", file=sys.stderr)
        yield "two"
        print("ends", end="")

    async def slowly():
        for value in numbers():
            yield value

    run = store.start({"numbers": numbers, "slowly": slowly}[kind])

    assert run.output() == "begins\none\npartialoh\ntwo\nends"
    assert run.output(channel="stderr") == "oh\n"


def test_iterables(store: Store, tmp_path: Path):
    """Anything that can be gone through is a source: a range, a file, a map, a class of one's own."""

    class Own:
        def __iter__(self):
            return iter(["own"])

    path = tmp_path / "text"
    path.write_text("first\nlast")
    with path.open() as file:
        sources = [range(3), file, map(str, [1, 2]), Own(), io.StringIO("a\nb\n"), {"set"}, iter([])]
        outputs = [store.start(source).output() for source in sources]

    assert outputs == ["0\n1\n2\n", "first\nlast\n", "1\n2\n", "own\n", "a\nb\n", "set\n", ""]


def test_function_with_arguments(store: Store):
    """A generator function is called with the arguments given at the start; its name is the run's."""

    def count(first: int, *, step: int) -> Iterator[int]:
        yield from itertools.islice(itertools.count(first, step), 3)

    run = store.start(count, 5, kwargs={"step": 2})

    assert run.output() == "5\n7\n9\n"
    assert (run.name, run.request["source"], run.to_json()["source"]) == ("count", "generator", "generator")
    with pytest.raises(UsageError, match=r"expected the arguments that count\(first: int, \*, step: int\)"):
        store.start(count, 5)


def test_return_value(store: Store):
    """What a generator returns is the outcome's value."""

    def values():
        yield "x"
        return {"n": 1}

    assert store.start(values).wait(timeout=DEADLINE).value == {"n": 1}


@both
def test_exception(store: Store, kind: str):
    """An exception ends the log as failed, its traceback on stderr; all that came before is read."""

    def numbers():
        yield "before"
        raise ValueError("no more of this")

    async def slowly():
        yield "before"
        raise ValueError("no more of this")

    run = store.start({"numbers": numbers, "slowly": slowly}[kind])
    lines = list(run.lines())
    outcome = run.wait(timeout=DEADLINE)

    assert lines[:2] == ["before", "Traceback (most recent call last):"]
    assert lines[-1] == "ValueError: no more of this"
    assert [line for line in lines if line.startswith("  File ")] == [
        line for line in lines if __file__ in line
    ]
    assert (outcome.reason, outcome.code) == (Reason.EXITED, 1)
    assert outcome.message == "ValueError: no more of this"


# Laziness


@pytest.mark.slow
@both
def test_nobody_reads(store: Store, kind: str):
    """A generator that nobody reads is not advanced at all."""
    counted = Counted()
    run = store.start(getattr(counted, kind))

    assert not counted.closed.wait(SOON)
    assert counted.made == 0
    assert run.state is State.RUNNING


@pytest.mark.slow
@both
def test_ahead(store: Store, kind: str):
    """It is advanced so far beyond the foremost reader as allowed, and no further."""
    counted = Counted()
    run = store.start(getattr(counted, kind), ahead=3)
    foremost, behind = run.lines(), run.lines()

    assert next(foremost) == "1"
    counted.stays(3)
    assert [next(foremost) for _ in range(3)] == ["2", "3", "4"]
    assert [next(behind) for _ in range(4)] == ["1", "2", "3", "4"]
    counted.stays(6)  # three beyond where the foremost one waited last
    run.stop()
    assert counted.closed.wait(DEADLINE)


@pytest.mark.slow
def test_readers_of_two_processes(store: Store):
    """The foremost reader counts in whichever process it is, and both read the same."""
    counted = Counted()
    run = store.start(counted.numbers, ahead=2)
    code = """
        import sys, runcast
        lines = runcast.get(sys.argv[1]).lines()
        print([next(lines) for _ in range(20)], flush=True)
        sys.stdin.read()
    """
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), run.id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        theirs = eval(other.stdout.readline())
        wait_until(lambda: counted.made >= 20)
        assert not counted.closed.wait(SOON)
        assert counted.made <= 22
        lines = run.lines()
        assert [next(lines) for _ in range(20)] == theirs == [str(n) for n in range(1, 21)]
        assert next(lines) == "21"


@pytest.mark.slow
def test_reader_leaves(store: Store):
    """When the only reader leaves the generator rests: no thread, no descriptor. A later one wakes it."""
    counted = Counted()
    run = store.start(counted.numbers, ahead=4)
    lines = run.lines()
    assert next(lines) == "1"
    lines.close()

    wait_until(lambda: not threads_of(run), what="no thread")
    assert counted.made == 4
    wait_until(lambda: not any(run.id in readlink(fd) for fd in os.listdir("/proc/self/fd")))
    assert [line for line, _ in zip(run.lines(), range(30), strict=False)] == [str(n) for n in range(1, 31)]


def readlink(fd: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}")
    return ""


@both
@pytest.mark.parametrize("how", ["wait", "output", "async wait"])
def test_waiting_reads(store: Store, kind: str, how: str):
    """Whoever waits for the end, or asks for all output, is a reader."""
    counted = Counted(100)
    run = store.start(getattr(counted, kind))

    if how == "wait":
        assert run.wait(timeout=DEADLINE).ok
    elif how == "output":
        assert run.output(timeout=DEADLINE) == "".join(f"{n}\n" for n in range(1, 101))
    else:
        assert asyncio.run(runcast.AsyncRun(files_of(run).path).wait(timeout=DEADLINE)).ok

    assert counted.made == 100


@both
def test_runs_free(store: Store, kind: str):
    """With ahead=None it runs to its end, though nobody reads."""
    counted = Counted(500)
    run = store.start(getattr(counted, kind), ahead=None)

    assert counted.closed.wait(DEADLINE)
    wait_until(lambda: run.closed)
    assert counted.made == 500
    assert run.outcome is not None
    assert run.outcome.ok


def test_many_wakes(store: Store):
    """Readers that come while a generator is just going to rest never find it asleep for ever."""
    counted = Counted()
    run = store.start(counted.numbers, ahead=1)
    lines = run.lines()
    from runcast.sources import generator

    before, generator._IDLE_SECONDS = generator._IDLE_SECONDS, 0.0  # rests at every value
    try:
        assert [next(lines) for _ in range(300)] == [str(n) for n in range(1, 301)]
    finally:
        generator._IDLE_SECONDS = before


def test_slow_generator(store: Store):
    """Each value is there when it is made, not when the next one is."""
    go = threading.Semaphore(0)

    def values():
        for word in ("one", "two", "three"):
            go.acquire()
            yield word

    lines = store.start(values).lines()
    for word in ("one", "two", "three"):
        go.release()
        assert next(lines) == word
    assert list(lines) == []


# The end


@both
@pytest.mark.parametrize("read", [0, 3])
def test_stop(store: Store, kind: str, read: int):
    """A stop closes a generator, its finally runs, and readers see the end; also if it never began."""
    counted = Counted()
    run = store.start(getattr(counted, kind), ahead=1)
    lines = run.lines()
    for _ in range(read):
        next(lines)
    run.stop()

    outcome = run.wait(timeout=DEADLINE)
    assert (outcome.reason, outcome.code, outcome.message) == (Reason.STOPPED, None, "")
    assert counted.closed.is_set() is bool(read)
    assert len(list(lines)) <= 1


@both
def test_stop_of_one_that_rests(store: Store, kind: str, monkeypatch: pytest.MonkeyPatch):
    """A generator that rests, without a thread or a task, is closed as well."""
    monkeypatch.setattr("runcast.sources.generator._IDLE_SECONDS", 0.01)
    monkeypatch.setattr("runcast.sources.async_generator._IDLE_SECONDS", 0.01)
    counted = Counted()
    run = store.start(getattr(counted, kind), ahead=1)
    lines = run.lines()
    assert next(lines) == "1"
    lines.close()
    wait_until(lambda: not any(run.id in readlink(fd) for fd in os.listdir("/proc/self/fd")))

    run.stop()

    assert counted.closed.wait(DEADLINE)
    outcome = run.wait(timeout=DEADLINE)
    assert (outcome.reason, outcome.message) == (Reason.STOPPED, "")


@both
def test_cleaning_up_prints(store: Store, kind: str):
    """What a generator prints, while it is closed, is the last of its output."""

    def numbers():
        try:
            yield "one"
            yield "two"
        finally:
            print("cleaned", end="")

    async def slowly():
        try:
            yield "one"
            yield "two"
        finally:
            await asyncio.sleep(0)
            print("cleaned", end="")

    run = store.start({"numbers": numbers, "slowly": slowly}[kind], ahead=1)
    lines = run.lines()
    assert next(lines) == "one"
    run.stop()

    assert list(lines)[-1] == "cleaned"
    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED


def test_error_while_closing(store: Store):
    """An error in a generator's finally is told, and the run still counts as stopped."""

    def values():
        try:
            while True:
                yield "x"
        finally:
            raise OSError("no room to clean up")

    run = store.start(values, ahead=1)
    assert next(run.lines()) == "x"
    run.stop()
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.reason, outcome.code) == (Reason.STOPPED, 1)
    assert "OSError: no room to clean up" in run.output(channel="stderr")


def test_busy_generator_is_killed(store: Store):
    """A kill ends a generator that is busy between two values."""

    def values():
        yield "one"
        while True:
            pass

    run = store.start(values)
    assert next(run.lines()) == "one"
    run.kill()

    outcome = run.wait(timeout=DEADLINE)
    assert (outcome.reason, outcome.message) == (Reason.STOPPED, "")
    wait_until(lambda: not threads_of(run), what="the end of its thread")


@pytest.mark.slow
@both
def test_idle_timeout(store: Store, kind: str):
    """A generator that nobody asks any more is closed after the idle time."""
    counted = Counted()
    run = store.start(getattr(counted, kind), idle_timeout=300 * MS, ahead=2)
    lines = run.lines()
    assert next(lines) == "1"
    lines.close()

    assert counted.closed.wait(DEADLINE)
    wait_until(lambda: run.closed)
    assert run.outcome is not None
    assert run.outcome.reason is Reason.IDLE_TIMED_OUT


def test_idle_by_default(store: Store):
    """Lazy generators are closed after an hour unless told otherwise, others never."""
    asked = [
        store.start(iter([]), **options).request["idle_timeout"]
        for options in ({}, {"idle_timeout": 5}, {"idle_timeout": float("inf")}, {"ahead": None})
    ]

    assert asked == [3600, 5, None, None]


@pytest.mark.parametrize("kind", ["generator", "async generator", "coroutine"])
def test_only_once(store: Store, kind: str):
    """What can be gone through once belongs to one run; the error says what to pass instead."""

    def plain():
        yield "x"

    async def later():
        yield "x"

    async def once():
        print("x")

    source = {"generator": plain, "async generator": later, "coroutine": once}[kind]()
    run = store.start(source)

    with pytest.raises(UsageError, match=rf"expected a fresh {kind}, this one (is another run's|has ended)"):
        store.start(source)
    assert run.output() == "x\n"
    with pytest.raises(UsageError, match="call its function again"):
        store.start(source)


def test_used_generators(store: Store):
    """A generator that has ended, or runs already, is refused."""

    def values():
        yield "x"

    ended = values()
    list(ended)
    with pytest.raises(UsageError, match="expected a fresh generator, this one has ended"):
        store.start(ended)

    def itself():
        with pytest.raises(UsageError, match="this one runs already"):
            store.start(inner)
        yield "x"

    inner = itself()
    assert next(inner) == "x"
    assert store.start(inner).output() == ""  # begun elsewhere, gone on with here


def test_async_generator_on_the_callers_loop(store: Store):
    """Started inside a loop, an async generator runs there, with the caller's context."""

    async def main() -> tuple[str, bool]:
        here = asyncio.get_running_loop()
        same = []

        async def values():
            for n in range(40):
                same.append(asyncio.get_running_loop() is here)
                yield str(n)

        run = await runcast.aio.start(values, store=store)
        output = "".join([f"{line}," async for line in run.lines()])
        return output, all(same)

    import runcast.aio

    assert asyncio.run(main()) == ("".join(f"{n}," for n in range(40)), True)


def test_loop_is_gone(store: Store):
    """A reader of an async generator whose loop has ended sees the run end, too."""
    counted = Counted()

    async def main() -> Run:
        run = store.start(counted.slowly, ahead=2)
        lines = runcast.AsyncRun(files_of(run).path).lines()
        assert await anext(lines) == "1"
        return run

    run = asyncio.run(main())
    lines = list(run.lines())
    outcome = run.wait(timeout=DEADLINE)

    assert len(lines) >= 2
    assert outcome.code == 1
    assert "loop" in outcome.message or "cancelled" in outcome.message
    assert counted.closed.wait(DEADLINE)


def test_loop_ends_before_it_began(store: Store):
    """A task that a loop's end cancels before its first step ends its run all the same."""

    async def later():
        print("never")

    async def main() -> Run:
        run = store.start(later)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        return run

    run = asyncio.run(main())
    outcome = run.wait(timeout=DEADLINE)

    assert (outcome.code, outcome.message) == (1, "its task was cancelled")


@pytest.mark.slow
def test_hundreds_idle(store: Store):
    """300 generators that nobody reads cost no thread and no descriptor each, and can all be stopped."""
    store.start(iter([])).wait()  # the owner's own thread and descriptors
    before = threading.active_count(), fds()
    counted = Counted()
    runs = [store.start(counted.numbers) for _ in range(300)]

    assert (threading.active_count(), fds()) <= (before[0] + 1, before[1] + 4)  # the sync at most
    assert counted.made == 0
    for run in runs:
        run.stop()
    for run in runs:
        assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    wait_until(lambda: threading.active_count() <= before[0], what=f"{before[0]} threads")
    assert fds() <= before[1] + 1


def test_context_of_the_caller(store: Store):
    """A generator sees the context variables of whoever started it, and is the current run inside."""
    from contextvars import ContextVar

    who: ContextVar[str] = ContextVar("who", default="nobody")
    who.set("caller")
    found = []

    def values():
        found.append((who.get(), runcast.current_run()))
        yield "x"

    run = store.start(values)
    run.wait(timeout=DEADLINE)

    assert [(name, current.id) for name, current in found if current] == [("caller", run.id)]
    assert runcast.current_run() is None


def test_stop_that_came_late(store: Store):
    """An async generator that saw by itself that it was to stop is not begun again by the stop."""

    async def numbers():
        try:
            while True:
                yield "x"
        finally:
            print("closed")

    async def main():
        run = store.start(numbers, ahead=None)
        (recording,) = [recording for recording in _recordings if recording.id == run.id]
        with recording._lock:  # a stop is in the midst of its work, as long as this is held
            recording.stopping = Reason.STOPPED
            for _ in range(20):
                await asyncio.sleep(0)
            recording.interrupt()
            for _ in range(20):
                await asyncio.sleep(0)
        return run

    run = asyncio.run(main())

    assert run.wait(timeout=DEADLINE).reason is Reason.STOPPED
    assert run.output().replace("x\n", "") in ("", "closed\n")


def test_process_ends(store: Store):
    """When the process ends its generators are closed: finally runs, and the outcome is told."""
    told = run_python(
        """
        import runcast

        def values():
            try:
                while True:
                    yield "x"
            finally:
                print("closed at exit")

        async def later():
            try:
                while True:
                    yield "y"
            finally:
                print("closed as well")

        for source in (values, later):
            run = runcast.start(source)
            next(run.lines())
            print(run.id)
        """
    ).split()

    ends = [(run.output(), run.wait(timeout=DEADLINE).reason) for run in map(store.get, told)]
    assert ends[0][0].endswith("x\nclosed at exit\n")
    assert ends[1][0].endswith("y\nclosed as well\n")
    assert [reason for _, reason in ends] == [Reason.STOPPED, Reason.STOPPED]


def test_two_readers_of_json(store: Store):
    """Two readers of one run see the same values at the same offsets."""
    run = store.start({"n": n} for n in range(50))
    readers = [[(c.offset, c.data) for c in run.follow() if c] for _ in range(2)]

    values = [json.loads(line) for line in b"".join(data for _, data in readers[0]).splitlines()]
    assert values == [{"n": n} for n in range(50)]
    assert b"".join(data for _, data in readers[1]) == b"".join(data for _, data in readers[0])
    assert {c.channel for c in run.follow() if c} == {Channel.DATA}
