"""The forkserver and its supervisors: how many there are, what they keep, when they go."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runcast import Store
from runcast.supervisor.control import connect_path
from runcast.supervisor.launch import _context
from tests.helpers.children import fds, run_python, supervisor_of
from tests.helpers.processes import zombies
from tests.helpers.stores import supervisors
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS
IDLE = 1000 * MS  # no shorter: the first run of a test must come before that is over


def socket_path(store: Store) -> str:
    """Return where the forkserver of this process's context listens."""
    return f"{store.path}/.supervisors/{_context()}"


def start_forkserver(store: Store, idle: float) -> None:
    """Start a forkserver that is gone after so many idle seconds; return when it listens."""
    code = f"from runcast.supervisor.forkserver import main; main({store.path!r}, {{!r}}, {idle})"
    name = f".supervisors/{_context()}"
    subprocess.run([sys.executable, "-c", code.format(name)], check=True, timeout=20000 * MS)


def all_of(store: Store) -> list[int]:
    return supervisors(Path(store.path))


@pytest.mark.slow
def test_gone_when_idle(store: Store):
    """R8: a forkserver that nobody needs ends, its supervisors and its socket with it."""
    start_forkserver(store, IDLE)
    run = store.start(["echo", "hello"])
    assert supervisor_of(run) in all_of(store)

    assert run.output() == "hello\n"
    wait_until(lambda: not all_of(store), what="the end of the idle forkserver")
    assert not os.path.exists(socket_path(store))
    assert store.start(["echo", "again"]).output() == "again\n"


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


@pytest.mark.slow
def test_not_gone_while_a_run_goes_on(store: Store):
    """A forkserver stays as long as one of its runs, however silent."""
    start_forkserver(store, IDLE)
    run = store.start(["cat"], stdin="pipe")
    forkserver = parent(supervisor_of(run))
    assert next(run.follow(timeout=1.5 * IDLE)) is None

    assert parent(supervisor_of(run)) == forkserver in all_of(store)
    run.send("", eof=True)
    run.wait(timeout=DEADLINE)
    wait_until(lambda: not all_of(store), what="the end of the idle forkserver")


@pytest.mark.slow
def test_folder_made_anew(store: Store, tmp_path: Path):
    """A forkserver whose store was removed leaves alone what came to be in its place."""
    start_forkserver(store, IDLE)
    store.start(["true"]).wait(timeout=DEADLINE)
    old = all_of(store)
    os.rename(store.path, tmp_path / "removed")
    store.start(["true"]).wait(timeout=DEADLINE)

    wait_until(lambda: not set(old) & set(all_of(store)), what="the end of the old forkserver")

    assert os.path.exists(socket_path(store))


@pytest.mark.slow
def test_supervisors_are_used_again(store: Store):
    """Runs one after the other are supervised by a few processes in turn."""
    used = set()
    for _ in range(20):
        run = store.start(["true"])
        used.add(supervisor_of(run))
        run.wait(timeout=DEADLINE)

    assert len(used) <= 6


@pytest.mark.slow
def test_spare_supervisors_go_home(store: Store):
    """R8: after a burst a few supervisors stay ready, and no zombie."""
    runs = [store.start(["cat"], stdin="pipe") for _ in range(12)]
    assert len(all_of(store)) >= 13
    for run in runs:
        run.send("", eof=True)
        run.wait(timeout=DEADLINE)

    wait_until(lambda: len(all_of(store)) <= 1 + 4, what="the spare supervisors to leave")
    first, *others = all_of(store)
    wait_until(lambda: zombies(first) == [], what="those that left to be reaped")
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    assert sorted(map(int, children)) == sorted(others)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"stdin": "pipe"}, {"input": "hello"}],
    ids=["plain", "pipe", "input"],
)
def test_supervisor_keeps_nothing(store: Store, options: dict[str, str]):
    """R8: a supervisor that has had many runs has no descriptor more than after its first."""

    def once() -> int:
        run = store.start(["true"], **options)
        run.wait(timeout=DEADLINE)
        return supervisor_of(run)

    counts: dict[int, list[int]] = {}
    for _ in range(30):
        pid = once()
        counts.setdefault(pid, []).append(wait_until(lambda pid=pid: settled(pid)))

    assert max(len(seen) for seen in counts.values()) > 3
    for seen in counts.values():
        assert seen[-1] <= seen[0]


def settled(pid: int) -> int:
    """Return how many descriptors a supervisor has when it waits for the next run; 0 before."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        busy = any(name in os.readlink(fd) for fd in folder.iterdir() for name in ("/lock", "/log/"))
    except FileNotFoundError:  # closed meanwhile
        return 0
    return 0 if busy or os.readlink(f"/proc/{pid}/cwd") != "/" else fds(pid)


def test_idle_supervisor_holds_no_folder(store: Store, tmp_path: Path):
    """A supervisor that waits for the next run does not keep the last one's folder busy."""
    run = store.start(["true"], cwd=tmp_path)
    run.wait(timeout=DEADLINE)
    pid = supervisor_of(run)

    wait_until(lambda: os.readlink(f"/proc/{pid}/cwd") == "/", what="the supervisor to leave the folder")


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"stdin": "pipe"}, {"input": "hello"}, {"lifeline": True}])
def test_failed_starts_cost_nothing(store: Store, options: dict[str, object]):
    """R8: commands that cannot be started cost no supervisor and no descriptor."""
    if options.pop("lifeline", False):
        store._lifeline, kept = os.pipe()
        fds_of_store = [store._lifeline, kept]
    else:
        fds_of_store = []
    first = store.start(["true"])
    before = wait_until(lambda: settled(supervisor_of(first)))
    for _ in range(20):  # by two to four supervisors in turn
        store.start(["no-such-program"], **options).wait(timeout=DEADLINE)

    wait_until(lambda: len(all_of(store)) <= 1 + 4, what="spare supervisors to leave")
    wait_until(lambda: max(map(fds, all_of(store)[1:])) <= before + 1, what="all supervisors to be idle")
    for fd in fds_of_store:
        os.close(fd)


@pytest.mark.slow
def test_many_runs_with_few_descriptors(store: Store):
    """R10: a forkserver has a descriptor for each of its runs, its commands have those of the starter."""
    run_python(
        """
        import resource, sys
        from runcast import Store

        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 400))
        command = ["sh", "-c", "echo up; read line; ulimit -n; ulimit -Hn"]
        for _ in range(60):
            Store(sys.argv[1]).start(command, stdin="pipe")
        """,
        store.path,
    )
    runs = list(store.list())

    assert len(runs) == 60
    for run in runs:
        run.send("end\n")
        assert run.output() == "up\n40\n400\n"


@pytest.mark.fault
def test_forkserver_without_descriptors(store: Store):
    """R10: a forkserver that can fork no more goes on, and serves again when some runs are over."""
    run_python(
        """
        import resource, sys, threading
        from runcast import Store

        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
        store = Store(sys.argv[1])
        command = ["sh", "-c", "echo up; read line"]
        begun = [store.start(command, stdin="pipe") for _ in range(14)]
        later = [
            threading.Thread(target=store.start, args=(command,), kwargs={"stdin": "pipe"}) for _ in range(4)
        ]
        for thread in later:
            thread.start()
        for run in begun[:8]:
            run.send("end\\n")
        for thread in later:
            thread.join(20)
            assert not thread.is_alive()
        """,
        store.path,
    )
    runs = list(store.list())
    forkserver = parent(supervisor_of(runs[-1]))

    assert len(runs) == 18
    assert {parent(supervisor_of(run)) for run in runs[:10]} == {forkserver}
    for run in runs[:10]:
        run.send("end\n")
        assert run.wait(timeout=DEADLINE).ok


@pytest.mark.parametrize(
    "sent", [b"", b"\x10", b"\x10\x00\x00\x00{", b"\x04\x00\x00\x00nope", b"\x02\x00\x00\x00[]"]
)
def test_broken_request(store: Store, sent: bytes):
    """A client that leaves in the middle, or talks nonsense, disturbs nobody."""
    store.start(["true"]).wait(timeout=DEADLINE)
    for _ in range(8):  # more than may die in a row without any run
        with connect_path(socket_path(store), DEADLINE) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(4096) == b""
    before = all_of(store)

    assert store.start(["echo", "hello"]).output() == "hello\n"
    assert all_of(store)[0] == before[0]
    assert not Path(store.path, ".supervisors", "errors.log").exists()


@pytest.mark.slow
def test_many_at_once(store: Store):
    """Many runs that are started at the same moment by many threads all have their own output."""
    outputs: list[tuple[str, str]] = []

    def start(name: str) -> None:
        for number in range(10):
            text = f"{name} {number}\n"
            outputs.append((text, store.start(["printf", "%s", text]).output(timeout=30000 * MS)))

    threads = [threading.Thread(target=start, args=(f"thread {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30000 * MS)

    assert len(outputs) == 80
    assert [got for _, got in outputs] == [expected for expected, _ in outputs]
