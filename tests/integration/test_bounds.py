"""Niceness, limits and user of a command: what it has, what it cannot do, what is refused."""

import os
import resource
import signal
import sys

import pytest

from runcast import Reason, Store
from runcast.errors import UsageError
from tests.helpers.cli import cli
from tests.helpers.wait import MS

DEADLINE = 20000 * MS
SHOWN = "ulimit -n; ulimit -c; ulimit -t; nice"


def test_has_them(store: Store):
    """The command and all that it starts have the limits and the niceness; this process has its own."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = {"open_files": 50, "core_size": 0, "cpu_time": "2m"}
    run = store.start(SHOWN, shell=True, nice=7, limits=limits)

    assert run.output(timeout=DEADLINE).split() == ["50", "0", "120", "7"]
    assert run.request["limits"] == {"open_files": 50, "core_size": 0, "cpu_time": 120}
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    again = store.rerun(run)
    assert again.output(timeout=DEADLINE) == run.output()
    own = str(os.getpriority(os.PRIO_PROCESS, 0))
    assert store.start(SHOWN, shell=True).output(timeout=DEADLINE).split()[-1] == own


def test_command_line(store: Store):
    """On the command line a limit is NAME=VALUE, several of them one after the other."""
    done = cli("run", "--nice", "3", "--limits", "open_files=40", "--limits", "core_size=0", "--shell", SHOWN)
    assert done.out.split()[:2] + done.out.split()[3:] == [b"40", b"0", b"3"]


@pytest.mark.parametrize("options", [{}, {"tty": True}, {"stdin": "pipe"}, {"input": "seen"}], ids=str)
def test_descriptors(store: Store, options: dict[str, object]):
    """A bounded command has the descriptors, the session and the terminal of any other."""
    code = (
        "import os, sys; print(sys.stdin.isatty(), os.getsid(0) == os.getpid(), "
        "sorted(map(int, os.listdir('/proc/self/fd')))[:3], file=sys.stderr)"
    )
    found = []
    for nice in (None, 1):
        run = store.start([sys.executable, "-S", "-c", code], nice=nice, **options)  # type: ignore[arg-type]
        run.wait(timeout=DEADLINE)
        found.append(run.output())
    assert found[0] == found[1] != ""


def test_signals(store: Store):
    """It begins with default actions and nothing blocked, as any other."""
    code = "import signal; print(signal.getsignal(13), signal.pthread_sigmask(0, []))"
    plain, bounded = (store.start([sys.executable, "-c", code], nice=nice) for nice in (None, 1))
    assert plain.output(timeout=DEADLINE) == bounded.output(timeout=DEADLINE)


def test_memory(store: Store):
    """What it cannot allocate is its own error, on its stderr."""
    run = store.start([sys.executable, "-c", "bytearray(1 << 30)"], limits={"memory": "200M"})
    assert run.wait(timeout=DEADLINE).code == 1
    assert "MemoryError" in run.output()


def test_cpu_time(store: Store):
    """A process that computes for longer gets SIGXCPU, and its outcome says that."""
    outcome = store.start([sys.executable, "-S", "-c", "while True: pass"], limits={"cpu_time": 1}).wait()
    assert (outcome.reason, outcome.signal) == (Reason.SIGNALED, signal.SIGXCPU)


@pytest.mark.parametrize(
    ("command", "options", "code", "said"),
    [
        (["true"], {"limits": {"open_files": 10**9}}, 125, "cannot set the limit open_files to 1000000000"),
        (["no-such-program"], {"nice": 1}, 127, "command not found"),
        (["/etc/passwd"], {"nice": 1}, 126, "permission denied"),
    ],
)
def test_cannot_start(store: Store, command: list[str], options: dict[str, object], code: int, said: str):
    """What the system refuses is a run that failed to start, with the reason."""
    outcome = store.start(command, **options).wait(timeout=DEADLINE)  # type: ignore[arg-type]
    assert (outcome.reason, outcome.code) == (Reason.FAILED_TO_START, code)
    assert said in outcome.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nice": 20}, "expected nice as a number from -20 to 19, got 20"),
        ({"limits": {"memry": 1}}, "got 'memry': did you mean memory?"),
        (
            {"limits": {"memory": "much"}},
            "limits.memory: expected a size such as 4096, 64M or 1G, got 'much'",
        ),
        ({"limits": {"cpu_time": 0}}, "limits.cpu_time: expected a duration"),
        ({"limits": {"open_files": -1}}, "limits.open_files: expected a number, got -1"),
        (
            {"limits": {"run_cpus": 0}},
            "limits.run_cpus: expected a number of processors such as 0.5 or 2, got 0",
        ),
        ({"limits": {"run_processes": 0}}, "limits.run_processes: expected a number from 1 on, got 0"),
        ({"limits": {"run_memory": "some"}}, "limits.run_memory: expected a size such as 4096, 64M or 1G"),
        ({"limits": 3}, "expected limits as a mapping of names to numbers, got 3"),
        ({"user": "no-such-user"}, "expected user as the name of a user of this machine, got 'no-such-user'"),
    ],
)
def test_wrong(store: Store, options: dict[str, object], said: str):
    """What has no meaning is refused before anything is started."""
    with pytest.raises(UsageError) as error:
        store.start(["true"], **options)  # type: ignore[arg-type]
    assert said in str(error.value)
    assert not list(store.ids())


@pytest.mark.root
def test_user(store: Store):
    """Root starts it as somebody else, with that one's groups and home; the log is root's."""
    run = store.start("id -u; id -ru; id -G; echo $HOME $USER", shell=True, user="daemon", cwd="/")
    assert run.output(timeout=DEADLINE) == "1\n1\n1\n/usr/sbin daemon\n"
    env = {"HOME": "/tmp", "RUNCAST_RUN_ID": "another"}
    own = store.start(["sh", "-c", "echo $HOME $RUNCAST_RUN_ID"], user="daemon", env=env)
    assert own.output(timeout=DEADLINE) == f"/tmp {own.id}\n"
    assert os.stat(store.path).st_uid == 0
