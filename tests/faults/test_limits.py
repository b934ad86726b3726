"""T13, R7: no limit that a run meets ends its supervisor; what is short at a start is said."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.children import PYTHON
from tests.helpers.cli import LONG, RUNCAST, Done
from tests.helpers.limited import limited, limited_cli
from tests.helpers.stores import end_store
from tests.helpers.wait import MS

pytestmark = [pytest.mark.fault, pytest.mark.slow]

SCORE = "/proc/self/oom_score_adj"
# Each meets a limit, notices, and goes on for longer than the second after which a log is synced.
_GOES_ON = """
end = time.monotonic() + 1.4
while time.monotonic() < end:
    print("tick", flush=True)
    meet()
    time.sleep(0.05)
print("met", met > 0)
"""
FORKS = f"""
import os, time
met = 0
def meet():
    global met
    try:
        if os.fork() == 0:
            for fd in (0, 1, 2): os.close(fd)
            time.sleep(4)
            os._exit(0)
    except BlockingIOError:
        met += 1
{_GOES_ON}"""
THREADS = f"""
import threading, time
met = 0
def meet():
    global met
    try:
        threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
    except RuntimeError:
        met += 1
{_GOES_ON}"""
LOWERS = f"""
import os, resource, time
met = 0
here, most = resource.getrlimit(resource.RLIMIT_{{0}})
resource.setrlimit(resource.RLIMIT_{{0}}, ({{1}}, most))
def meet():
    global met
    try:
        {{2}}
    except (OSError, MemoryError):
        met += 1
{_GOES_ON}"""


def lowers(limit: str, to: int, meet: str) -> str:
    return LOWERS.replace("{0}", limit).replace("{1}", str(to)).replace("{2}", meet)


# What the run does, and how many processes its user may have. What it does to itself, it may do.
MEETS = {
    "forks": (FORKS, 16),
    "threads": (THREADS, 16),
    "its own processes": (lowers("NPROC", 1, "os.fork() or os._exit(0)"), None),
    "its own descriptors": (lowers("NOFILE", 3, "os.pipe()"), None),
    "its own files": (
        lowers("FSIZE", 0, "os.ftruncate(os.memfd_create(''), 1)"),
        None,
    ),
    "its own memory": (lowers("AS", 60_000_000, "bytearray(200_000_000)"), None),
}


@contextlib.contextmanager
def begun(folder: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Begin a command line whose store is in a folder; nothing of it is left behind the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        end_store(folder / "store")


def done(process: subprocess.Popen[bytes]) -> Done:
    out, err = process.communicate(timeout=LONG)
    return Done(process.returncode, out, err.decode())


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A folder that every user may write to."""
    tmp_path.chmod(0o1777)
    return tmp_path


def test_limits_met_by_a_run(open_path: Path):
    """A run that meets a limit and goes on ends as it would alone: its exit code, its whole output."""
    with contextlib.ExitStack() as stack:
        processes = {}
        for name, (program, most) in MEETS.items():
            folder = open_path / name.replace(" ", "-")
            folder.mkdir()
            folder.chmod(0o1777)
            command = limited_cli(folder / "store", "", *PYTHON, program, processes=most)
            processes[name] = folder, stack.enter_context(begun(folder, command))
        for name, (folder, process) in processes.items():
            ended = done(process)
            assert (ended.code, ended.err) == (0, ""), name
            *ticks, last = ended.out.splitlines()
            assert last == b"met True", name
            assert set(ticks) == {b"tick"}, name
            for path in [folder / "store", *(folder / "store").rglob("*")]:
                os.chown(path, os.geteuid(), -1)  # a store is its user's alone, also for root
            run = next(Store(str(folder / "store")).list())
            assert run.output(check=False) == ended.out.decode(), name


def test_too_many_processes_to_start(open_path: Path):
    """Where a command cannot be forked, the exit code is 125 and the message names the limit, not a file."""
    seen = set()
    for most in (2, 3, 4, 7):  # from where nothing can be started to where all can
        folder = open_path / str(most)
        folder.mkdir()
        folder.chmod(0o1777)
        with begun(folder, limited_cli(folder / "store", "", "echo", "hi", processes=most)) as process:
            ended = done(process)
        seen.add(ended.code)
        if ended.code == 0:
            assert (ended.out, ended.err) == (b"hi\n", "")
        else:
            assert "too many processes (ulimit -u or pids.max)" in ended.err, (most, ended)
            assert "make it writable" not in ended.err
            assert ended.code in (2, 125)
    assert 0 in seen
    assert len(seen) > 1


def test_a_spare_supervisor_makes_room(open_path: Path):
    """A supervisor that waits is given up for a command: client, forkserver, supervisor and it are enough."""
    with begun(open_path, limited_cli(open_path / "store", "", "echo", "hi", processes=5)) as process:
        first = done(process)
        command = limited_cli(open_path / "store", "", "echo", "hi", processes=5)
        command[:5] = process.args[:5]  # type: ignore[index]  # the same user, whose spares wait by now
        again = [done(subprocess.Popen(command, stdout=-1, stderr=-1, cwd="/")) for _ in range(2)]

    assert [(one.code, one.out) for one in (first, *again)] == [(0, b"hi\n")] * 3, (first, again)


@pytest.mark.parametrize("files", [8, 9, 11, 13, 16])
def test_too_few_descriptors(open_path: Path, files: int):
    """With very few descriptors a run says what was short, whether it began or not, and soon."""
    limits = f"ulimit -n {files}"
    with begun(open_path, limited_cli(open_path / "store", limits, "echo", "hi")) as process:
        ended = done(process)

    assert ended.code in (1, 2, 125)
    assert "too many open files in one process (ulimit -n)" in ended.err, ended
    assert "errors.log" not in ended.err or (open_path / "store/.supervisors/errors.log").exists(), ended


def test_file_size_limit_of_the_caller(open_path: Path):
    """A limit on the size of files cuts the log, which says so; the exit code is the command's."""
    limits = "ulimit -f 64"  # KiB
    program = "head -c 300000 /dev/zero; exit 3"
    with begun(open_path, limited_cli(open_path / "store", limits, "sh", "-c", program)) as process:
        ended = done(process)

    outcome = next(Store(str(open_path / "store")).list()).outcome
    assert outcome is not None
    assert ended.code == 3, ended
    assert outcome.dropped + len(ended.out) == 300000, (outcome, len(ended.out))


def test_function_without_a_thread(open_path: Path):
    """A function for which there is no thread raises an error that names the limit, and its run says so."""
    program = (
        "import resource, sys, runcast\n"
        "store = runcast.Store.open(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n"
        "try: store.start(print, 'x')\n"
        "except runcast.RuncastError as error: print(error)\n"
        "print(next(store.list()).outcome.reason)\n"
    )
    command = [*limited(""), sys.executable, "-c", program, str(open_path / "store")]
    with begun(open_path, command) as process:
        ended = done(process)

    assert ended.code == 0, ended.err
    assert b"too many processes (ulimit -u or pids.max)" in ended.out
    assert ended.out.endswith(b"failed to start\n")


IN_PROCESS = """
import asyncio, os, resource, sys, threading, runcast
from runcast.own_thread import in_pool
store = runcast.Store.open(sys.argv[1])
def function():
    print("begun", end="", flush=False)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    fd = sys.stdout.fileno()
    for _ in range(4):
        data = b"x" * 99999 + b"\\n"
        while data:
            data = data[os.write(fd, data):]
    return threading.active_count()
run = store.start(function)
outcome = run.wait(timeout=60)
print(outcome, len(run.output()))
async def main():
    return [await in_pool(threading.get_ident) == threading.get_ident() for _ in range(3)]
loop = asyncio.new_event_loop()  # `asyncio.run` itself starts a thread at its end
print(loop.run_until_complete(main()))
"""


def test_output_without_a_thread(open_path: Path):
    """What a function writes to its descriptor is read although no thread can be started for that."""
    command = [*limited(""), sys.executable, "-c", IN_PROCESS, str(open_path / "store")]
    with begun(open_path, command) as process:
        ended = done(process)

    assert ended.out.splitlines() == [b"exit code 0 400005", b"[True, True, True]"], ended
    assert (ended.code, ended.err) == (0, "")


def test_score_for_the_oom_killer(store: Store):
    """A command and what it starts are killed for lack of memory before their supervisor is."""
    own = int(Path("/proc/self/oom_score_adj").read_text())
    show = 'cat /proc/self/oom_score_adj; until [ "$(cat /proc/$PPID/oom_score_adj)" = "$1" ]; do :; done'
    command = ["sh", "-c", show, "sh", str(own)]  # a supervisor lowers its own when the command runs already

    plain, off = (
        store.start(command, timeout=20000 * MS),
        store.start(command, timeout=20000 * MS, env={"RUNCAST_OOM_SCORE_ADJ": "0"}),
    )

    assert plain.output(check=True) == f"{min(own + 300, 1000)}\n"
    assert off.output(check=True) == f"{own}\n"


def test_score_belongs_to_the_caller(open_path: Path):
    """The score is the caller's and some more, without any privilege; a nested run adds to it again."""
    limits = "echo 100 > /proc/self/oom_score_adj"
    show = f"cat {SCORE}; exec {RUNCAST} --store {open_path}/store run cat {SCORE}"
    with begun(open_path, limited_cli(open_path / "store", limits, "sh", "-c", show)) as process:
        ended = done(process)

    assert ended.out.split() == [b"400", b"700"], ended
