"""The hub with real logs: who waits is woken, by threads, tasks, greenlets, forks, and by the clock."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import pytest

from runcast import AsyncRun, Run, Store
from runcast.readers.hub import Hub, hub
from runcast.readers.inotify import Inotify
from runcast.run.base import files_of
from tests.helpers.children import run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS
WAITS = ["sh", "-c", "echo up; read line; echo $line"]


def waiting_run(store: Store) -> Run:
    """Return a run that has said `up` and waits for a line."""
    run = store.start(WAITS, stdin="pipe")
    assert next(run.lines()) == "up"
    return run


class Lines(threading.Thread):
    """A thread that follows a run."""

    def __init__(self, run: Run) -> None:
        super().__init__(daemon=True)
        self._run, self.lines = Run(files_of(run).path), []
        self.start()

    def run(self) -> None:
        """Collect lines until the log is closed."""
        self.lines: list[str | None] = []
        for line in self._run.lines():
            self.lines.append(line)


def test_threads(store: Store):
    """Fifty threads over five runs are all woken, each for its own run."""
    runs = [waiting_run(store) for _ in range(5)]
    threads = [(number, Lines(run)) for number, run in enumerate(runs) for _ in range(10)]
    wait_until(lambda: all(thread.lines == ["up"] for _, thread in threads))

    for number, run in enumerate(runs):
        run.send(f"run {number}\n")
    for _, thread in threads:
        thread.join(DEADLINE)

    assert [thread.lines for _, thread in threads] == [["up", f"run {number}"] for number, _ in threads]


def test_leader_leaves(store: Store):
    """When the thread that polls for all is gone, the others are woken nevertheless."""
    first, second = waiting_run(store), waiting_run(store)
    leader = Lines(first)
    wait_until(lambda: hub()._leader)
    followers = [Lines(second) for _ in range(3)]
    wait_until(lambda: len(hub()._waiters) == 4)

    first.send("the leader ends\n")
    leader.join(DEADLINE)
    second.send("woken\n")
    for follower in followers:
        follower.join(1000 * MS)

    assert [follower.lines for follower in followers] == [["up", "woken"]] * 3
    assert leader.lines == ["up", "the leader ends"]
    assert not hub()._waiters
    assert hub()._leader is None


def test_threads_and_tasks(store: Store):
    """Threads and tasks that follow the same run are woken side by side."""
    run = waiting_run(store)
    threads = [Lines(run) for _ in range(5)]

    async def follow() -> list[str | None]:
        return [line async for line in AsyncRun(files_of(run).path).lines()]

    async def main() -> list[list[str | None]]:
        tasks = [asyncio.create_task(follow()) for _ in range(5)]
        await asyncio.to_thread(wait_until, lambda: len(hub()._waiters) == 10)  # all of them wait
        await asyncio.to_thread(run.send, "to all\n")
        return await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE)

    assert asyncio.run(main()) == [["up", "to all"]] * 5
    for thread in threads:
        thread.join(DEADLINE)
        assert thread.lines == ["up", "to all"]


def test_two_loops(store: Store):
    """Tasks of two loops in two threads are woken, each on its own loop."""
    run = waiting_run(store)
    seen: list[list[str | None]] = []

    async def follow() -> None:
        seen.append([line async for line in AsyncRun(files_of(run).path).lines()])

    loops = [threading.Thread(target=lambda: asyncio.run(follow())) for _ in range(2)]
    for loop in loops:
        loop.start()
    wait_until(lambda: len(hub()._waiters) == 2)
    run.send("to both\n")
    for loop in loops:
        loop.join(DEADLINE)

    assert seen == [["up", "to both"]] * 2


GEVENT = """
    from gevent import monkey; monkey.patch_all()
    import fcntl, os, sys, termios, threading, time
    import gevent
    from runcast import Store

    store = Store(sys.argv[1])
    runs = [store.start(["sh", "-c", "echo up; read line; echo $line"], stdin="pipe") for _ in range(3)]
    turns = 0

    def turn():
        global turns
        while True:
            gevent.sleep(0.005)
            turns += 1

    def follow(run):
        return list(run.lines())

    turning = gevent.spawn(turn)
    viewers = [gevent.spawn(follow, store.get(run.id)) for run in runs for _ in range(10)]
    assert [next(run.lines()) for run in runs] == ["up", "up", "up"]
    turns = 0
    waits = 0
    while turns <= 5 and waits < 50:  # on a busy machine few turns fit into one wait
        assert next(runs[0].follow(tail=0, timeout=0.3)) is None
        waits += 1
    assert turns > 5, "the other greenlets stood still"
    for number, run in enumerate(runs):
        run.send(f"run {number}\\n")
    gevent.joinall(viewers, timeout=60, raise_error=True)
    assert [viewer.value for viewer in viewers] == [
        ["up", f"run {number}"] for number in range(3) for _ in range(10)
    ], [viewer.value for viewer in viewers]
    assert [run.wait().code for run in runs] == [0, 0, 0]
    blocked = store.start(["sleep", "60"], stdin="pipe")
    sender = gevent.spawn(blocked.send, b"x" * 1_000_000)
    stdin = os.open(f"/proc/{blocked.pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    deadline = time.monotonic() + 60
    while int.from_bytes(fcntl.ioctl(stdin, termios.FIONREAD, bytes(4)), sys.byteorder) < 65536:
        assert time.monotonic() < deadline, "expected a full pipe"
        gevent.sleep(0.001)
    os.close(stdin)
    assert not sender.ready(), "expected it to wait: the program reads nothing"
    blocked.kill()
    assert blocked.wait(timeout=60).signal == 9
    gevent.joinall([sender], timeout=60)
    assert sender.ready()
    print("done", threading.active_count() >= 1)
"""


@pytest.mark.slow
def test_gevent(store: Store):
    """Under gevent's monkey patching, greenlets start, follow, send and wait, and none blocks the others."""

    assert run_python(GEVENT, store.path).startswith("done")


EXHAUSTED = """
    import resource, sys, time
    from runcast import Store
    from runcast.readers import hub
    from runcast.readers.inotify import Inotify

    store = Store(sys.argv[1])
    if sys.argv[2] == "watches":
        Inotify._add = lambda self, path, mask: (_ for _ in ()).throw(OSError(28, "no more watches"))
    else:
        Inotify.__init__ = lambda self: (_ for _ in ()).throw(OSError(24, "no more instances"))
    run = store.start(["sh", "-c", "while read line; do echo got $line; done"], stdin="pipe")
    lines = run.lines()
    for number in range(3):
        run.send(f"{number}\\n")
        assert next(lines) == f"got {number}"
    assert next(run.follow(tail=0, timeout=0.05)) is None

    import asyncio
    from runcast import AsyncRun
    from runcast.run.base import files_of

    async def main():
        follower = AsyncRun(files_of(run).path).lines(timeout=0.05, tail=0)
        assert await anext(follower) is None
        await AsyncRun(files_of(run).path).send("from a task\\n")
        while (line := await anext(follower)) is None:
            pass
        assert line == "got from a task"

    asyncio.run(main())
    run.send("", eof=True)
    assert run.wait(timeout=60).ok
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["watches", "instances"])
def test_polling(store: Store, what: str):
    """Where the system has no inotify, or no more of it, followers look by themselves."""
    assert run_python(EXHAUSTED, store.path, what) == "done\n"


@pytest.mark.slow
def test_limits_of_inotify(store: Store):
    """Followers beyond the system's limit of inotify instances poll; those before are woken."""
    code = """
        import resource, sys
        from runcast import Store
        from runcast.readers.inotify import Inotify

        kept = []
        try:
            for _ in range(100_000):
                kept.append(Inotify())
        except OSError:
            pass
        kept.pop()  # a descriptor for the store's own needs
        kept += [open("/dev/null") for _ in range(0)]
        run = Store(sys.argv[1]).start(["sh", "-c", "echo up; read line; echo $line"], stdin="pipe")
        lines = run.lines()
        assert next(lines) == "up"
        run.send("line\\n")
        assert list(lines) == ["line"]
        print("done")
    """

    assert run_python(code, store.path) == "done\n"


def test_nothing_to_wait_for(store: Store):
    """A wait with a deadline of nothing, and one over nothing, end."""
    run = waiting_run(store)
    own = Hub(Inotify)
    watch = own.watch(run.log())
    assert own.wait([(watch, watch.version)], 0) is True  # watched only now: look once more

    assert own.wait([(watch, watch.version)], 0) is False
    assert own.wait([], 0.001) is False
    watch.close()
    run.kill()


def test_interrupted_wait(store: Store):
    """Ctrl-C ends a wait at once, and the program's other followers go on."""
    code = textwrap.dedent("""
        import sys
        from runcast import Store

        run = Store(sys.argv[1]).start(["sh", "-c", "echo up; read line; echo $line"], stdin="pipe")
        try:
            for line in run.lines():
                print(line, flush=True)
        except KeyboardInterrupt:
            run.send("line\\n")
            print(*run.lines(tail=1), run.wait())
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", code, store.path], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, 2)
    said, _ = process.communicate(timeout=DEADLINE)

    assert said in ("up line exit code 0\n", "line exit code 0\n")


@pytest.mark.slow
def test_hub_sleeps(store: Store):
    """A thread that follows a silent run uses no processor to speak of."""
    code = """
        import resource, sys
        from runcast import Store

        run = Store(sys.argv[1]).get(sys.argv[2])
        viewer = run.lines(timeout=1.0)
        next(viewer)
        before = resource.getrusage(resource.RUSAGE_SELF)
        assert next(viewer) is None
        after = resource.getrusage(resource.RUSAGE_SELF)
        print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    """
    run = waiting_run(store)

    assert float(run_python(code, store.path, run.id)) < 0.1
    assert Path(files_of(run).path).exists()
    run.kill()


def test_output_is_not_told_as_state(store: Store):
    """News of output and news of how the run stands are told apart: who follows need not ask twice."""
    run = waiting_run(store)
    with closing(hub().watch(run.log())) as watch:
        while hub().wait([(watch, watch.version)], 20 * MS):  # what is left of the start
            pass
        told = watch.folder_changes()
        seen = [(watch, watch.version)]
        with open(f"{files_of(run).log_path}/{0:020d}", "ab") as log:
            log.write(b"more\n")

        assert hub().wait(seen, DEADLINE)
        assert watch.folder_changes() == told

        run.send("to the end\n")
        wait_until(lambda: hub().wait([(watch, watch.version)], 20 * MS) and watch.folder_changes() > told)


def test_polling_takes_every_look_for_news(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Where nothing tells, how the run stands is asked for at each look."""
    run = waiting_run(store)
    with closing(hub().watch(run.log())) as watch:
        monkeypatch.setattr(watch, "polled", True)

        assert watch.folder_changes() != watch.folder_changes()
