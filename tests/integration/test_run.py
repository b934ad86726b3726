"""A run as its users see it: follow, lines, output, wait, and the comforts around them."""

import re
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

import runcast
from runcast import Channel, Reason, Store
from runcast.errors import (
    OffsetBeyondTail,
    OffsetGone,
    RunFailed,
    StartFailed,
    UsageError,
    WaitTimeout,
)
from runcast.run.base import files_of
from tests.helpers.children import collect
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS

TALK = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done"
WAITS = ["sh", "-c", "echo up; read line; echo $line"]


def data_of(chunks: object) -> bytes:
    return b"".join(chunk.data for chunk in chunks if chunk)


def test_lines_live(store: Store):
    """Lines come while the program runs, and end with it."""
    run = store.start(["sh", "-c", "while read line; do echo got $line; done"], stdin="pipe")
    lines = run.lines()

    for word in ("one", "two", "three"):
        run.send(f"{word}\n")
        assert next(lines) == f"got {word}"
    run.send("", eof=True)

    assert list(lines) == []
    assert run.closed


def test_line_ends(store: Store):
    """LF and CRLF end a line, nothing else does, and the last line needs no end."""
    run = store.start(["printf", "a\\r\\nb\\rc\\n\\n\\xe2\\x80\\xa8d\\x0b\\x0ce"])

    assert list(run.lines()) == ["a", "b\rc", "", "\u2028d\x0b\x0ce"]


def test_follow(store: Store):
    """Chunks carry offset, channel, time and bytes; joined they are the output."""
    run = store.start(["sh", "-c", "echo out; sleep 0.05; echo err >&2"])

    first, second = run.follow()

    assert first is not None
    assert second is not None
    assert (first.offset, first.next, first.channel, first.data) == (0, 4, Channel.STDOUT, b"out\n")
    assert (second.offset, second.next, second.channel, second.data) == (4, 8, Channel.STDERR, b"err\n")
    assert run.created_at - 1 < first.time < second.time < time.time() + 1


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, "one\ntwo\nthree\n"),
        ({"offset": 4}, "two\nthree\n"),
        ({"offset": 14}, ""),
        ({"tail": 2}, "two\nthree\n"),
        ({"tail": 0}, ""),
        ({"tail": 9}, "one\ntwo\nthree\n"),
        ({"tail_bytes": 3}, "ee\n"),
        ({"line": 3}, "three\n"),
        ({"line": 9}, ""),
        ({"since": 0}, "one\ntwo\nthree\n"),
        ({"since": 4e9}, ""),
    ],
)
def test_places(store: Store, place: dict[str, float], expected: str):
    """A follower begins where it is told to."""
    run = store.start(["printf", "one\\ntwo\\nthree\\n"])
    run.wait(timeout=DEADLINE)

    assert data_of(run.follow(**place)).decode() == expected


def test_bad_places(store: Store):
    """A place that is none is told at once, not at the first read."""
    run = store.start(["printf", "one\\n"])
    run.wait(timeout=DEADLINE)

    with pytest.raises(OffsetBeyondTail, match="up to the tail, which is 4 now, got 5"):
        run.follow(offset=5)
    with pytest.raises(UsageError, match="expected one place to begin, got line and tail"):
        run.lines(tail=1, line=1)
    with pytest.raises(UsageError, match="expected tail to be 0 or more, got -1"):
        run.lines(tail=-1)
    with pytest.raises(UsageError, match="expected channels among stdout, stderr and data, got 'out'"):
        run.follow(channel="out")


def test_channels(store: Store):
    """One channel, or several, can be asked for by name."""
    run = store.start(["sh", "-c", TALK])

    assert run.output(channel="stdout") == "".join(f"out {i}\n" for i in range(1, 6))
    assert run.output(channel=Channel.STDERR) == "".join(f"err {i}\n" for i in range(1, 6))
    assert run.output(channel=["stdout", "stderr"]) == run.output()
    assert run.output(channel="data") == ""
    assert list(run.lines(channel="stderr", tail=2)) == ["err 4", "err 5"]


def test_silence(store: Store):
    """With a timeout, None comes whenever nothing else did, and the lines go on behind it."""
    run = store.start(WAITS, stdin="pipe")
    lines = run.lines(timeout=0.05)

    seen = [next(lines), next(lines), next(lines)]
    run.send("more\n")
    rest = [line for line in lines if line is not None]

    assert [line for line in seen if line is not None] + rest == ["up", "more"]
    assert None in seen


def test_output(store: Store):
    """`output` waits for the end and gives text, or bytes, or text of another encoding."""
    run = store.start(["printf", "gr\\xfcn \\xe2\\x82\\xac"])

    assert run.output(encoding=None) == b"gr\xfcn \xe2\x82\xac"
    assert run.output() == "gr\ufffdn €"
    assert run.output(encoding="latin-1") == "grün â\x82¬"


def test_wait_timeout(store: Store):
    """A wait that is over before the run says so and leaves the run alone."""
    run = store.start(["cat"], stdin="pipe")

    with pytest.raises(
        WaitTimeout, match=f"run {run.id} is still (starting|running) after 0.05 s; it goes on"
    ):
        run.wait(timeout=0.05)
    with pytest.raises(TimeoutError):
        run.output(timeout=0)
    run.send("", eof=True)
    assert run.wait(timeout=DEADLINE).ok


def test_check(store: Store):
    """With `check`, an outcome that is not ok is raised, by `start` for all or by one call."""
    run = store.start(["sh", "-c", "echo no; exit 3"], check=True)

    with pytest.raises(RunFailed, match=f"run {run.id} was not ok: exit code 3") as caught:
        run.wait(timeout=DEADLINE)
    with pytest.raises(RunFailed):
        run.output()
    assert caught.value.outcome == run.outcome
    assert run.output(check=False) == "no\n"
    assert not run.wait(check=False).ok
    assert store.start(["true"], check=True).wait(timeout=DEADLINE).ok
    with pytest.raises(StartFailed, match="command not found: 'no-such-program'"):
        store.start(["no-such-program"]).wait(check=True, timeout=DEADLINE)


def test_with(store: Store):
    """A `with` block waits for the end; one that is left by an error stops the run first."""
    with store.start(["sh", "-c", "sleep 0.05; echo done"]) as run:
        assert run.outcome is None
    assert run.outcome is not None
    assert run.output() == "done\n"

    with pytest.raises(ZeroDivisionError), store.start(["sleep", "60"]) as run:
        1 / 0  # noqa: B018
    assert run.outcome is not None
    assert run.outcome.reason is Reason.STOPPED

    run = store.start(["false"], check=True)
    wait_until(lambda: run.outcome)
    with pytest.raises(ZeroDivisionError), run:
        1 / 0  # noqa: B018
    with pytest.raises(RunFailed), store.start(["false"], check=True):
        pass


def test_follow_several(store: Store):
    """Several runs are followed as one, each line with its run, until all are closed."""
    runs = [store.start(WAITS, stdin="pipe", name=name) for name in ("a", "b", "c")]
    said: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    items = runcast.follow(runs)
    for _ in runs:
        item = next(items)
        assert item is not None
        said[item[0].name].append(item[1])
    for run in runs[::-1]:
        run.send(f"last of {run.name}\n")
        item = next(items)
        assert item is not None
        assert item[0] is run
        said[item[0].name].append(item[1])

    assert list(items) == []
    assert said == {name: ["up", f"last of {name}"] for name in "abc"}


def test_follow_several_in_silence(store: Store):
    """Several silent runs give None when nothing came for a while; none at all gives nothing."""
    run = store.start(["cat"], stdin="pipe")

    assert next(runcast.follow([run], timeout=0.02)) is None
    assert list(runcast.follow([])) == []
    run.kill()


def test_usage(store: Store):
    """An outcome has what the run's processes used, those of its children among them."""
    code = "x = bytearray(100 << 20); [str(n) for n in range(200_000)]"
    run = store.start(["sh", "-c", f'{sys.executable} -S -c "{code}"; true'])
    used = run.wait(timeout=DEADLINE).usage

    assert used is not None
    assert 0 < used.cpu_seconds < DEADLINE
    assert 100 << 20 <= (used.peak_memory_bytes or 0) < 1 << 30
    assert run.to_json()["outcome"]["usage"] == used.to_json()
    little = store.start(["true"]).wait(timeout=DEADLINE).usage
    assert little is not None
    assert little.peak_memory_bytes is None  # less than a supervisor has, which the kernel does not tell
    assert store.start(lambda: None).wait(timeout=DEADLINE).usage is None


def test_usage_so_far(store: Store):
    """While a run goes on its usage is that of all of its processes, those that have ended included."""
    ended = "[str(n) for n in range(300_000)]"
    lives = "x = bytearray(100 << 20); print(flush=True); input()"
    script = f'{sys.executable} -S -c "{ended}"; exec {sys.executable} -S -c "{lives}"'
    run = store.start(["sh", "-c", script], stdin="pipe")
    wait_until(lambda: run.tail_offset > 0)

    used = run.usage
    run.send("\n")
    run.wait(timeout=DEADLINE)

    assert used is not None
    assert 0 < used.cpu_seconds < DEADLINE
    assert 100 << 20 <= (used.peak_memory_bytes or 0) < 1 << 30
    assert run.usage == run.wait().usage
    assert run.usage is not None
    assert run.usage.cpu_seconds >= used.cpu_seconds - 0.04  # the kernel's ticks of 10 ms, of two processes


@pytest.mark.slow
def test_cap(store: Store):
    """R12: a cap keeps head and tail of the output, and a follower is told of the gap between."""
    lines = "".join(f"line {number:06d}\n" for number in range(100_000))
    run = store.start(["cat"], input=lines, cap=100_000)
    outcome = run.wait(timeout=DEADLINE)
    collected = collect(run.follow())
    size = sum(path.stat().st_size for path in Path(files_of(run).log_path).iterdir())

    assert outcome.ok
    assert outcome.truncated
    assert outcome.dropped == 0
    assert size <= 105_000
    assert collected.faults == []
    [(start, end)] = collected.gaps
    assert bytes(collected.data) == (lines[:start] + lines[end:]).encode()
    assert start >= 30_000
    assert collected.next - end >= 30_000
    assert run.output(check=False).endswith("line 099999\n")
    with pytest.raises(OffsetGone):
        run.follow(offset=start + 1)


def test_silence_of_one_channel(store: Store):
    """Silence is that of the channel which is followed, however much the other one says."""
    run = store.start(["sh", "-c", "while :; do echo noise; done"], cap=1_000_000)

    chunks = run.follow(channel="stderr", timeout=0.1)
    assert next(chunk for chunk in chunks if chunk is None or chunk.channel is not Channel.GAP) is None
    run.kill()


def test_json(store: Store):
    """A run as JSON says all there is, times in UTC."""
    run = store.start(["sh", "-c", "echo a; echo b; exit 3"], name="my run")
    run.output(timeout=DEADLINE)

    value = run.to_json()

    assert (
        value.items()
        >= {
            "id": run.id,
            "name": "my run",
            "source": "command",
            "command": ["sh", "-c", "echo a; echo b; exit 3"],
            "state": "exited",
            "pid": run.pid,
            "tail_offset": "00000000000000000004",
            "lines": 2,
            "closed": True,
        }.items()
    )
    times = [value["created_at"], value["started_at"], value["ended_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text) for text in times)
    assert all(former <= later for former, later in pairwise(times))
    assert value["outcome"]["code"] == 3


def test_repr(store: Store):
    """A run shows itself as a sentence."""
    run = store.start(["sh", "-c", "exit 3"])
    run.wait(timeout=DEADLINE)

    assert repr(run) == f"<Run {run.id} exit code 3>"


def test_default_store(own_store: Path):
    """The functions of the package use the store that the environment names, or the one given."""
    run = runcast.start(["echo", "hello"])
    try:
        assert run.output() == "hello\n"
        assert files_of(run).path == f"{own_store}/{run.id}"
        assert runcast.get(run.id).output() == "hello\n"
        assert runcast.get(run.id, store=str(own_store)).id == run.id
    finally:
        from tests.helpers.stores import end_store

        end_store(own_store)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "expected timeout to be more than 0, got 0"),
        ({"idle_timeout": -1}, "expected idle_timeout to be more than 0, got -1"),
        ({"timeout": float("nan")}, "expected timeout to be more than 0, got nan"),
        ({"cap": 0}, "expected cap to be more than 0, got 0"),
        ({"stdin": "pipe", "input": "x"}, "expected stdin or input, got both"),
        ({"env": {"A=B": "c"}}, "expected variables as strings"),
        ({"env": {"A": 1}}, "expected variables as strings"),
        ({"env": {"A": "b\0c"}}, "expected variables as strings"),
    ],
)
def test_bad_options(store: Store, options: dict[str, object], message: str):
    """What cannot be meant is refused before anything is started."""
    with pytest.raises(UsageError, match=re.escape(message)):
        store.start(["true"], **options)

    assert list(store.list()) == []
