"""The client half needs no compiled wheel and no Linux: `run --server`, `follow`, `push`, the Python client.

What other systems lack is taken away before runcast is loaded, as far as Linux can do without it: functions
of its kernel alone, compiled packages, and in the second place the modules that only Unix has.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.cli import LONG
from tests.helpers.servers import ASGI, Server

COMPILED = ["uvloop", "httptools", "msgspec", "websockets.speedups"]
UNIX = ["fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "syslog"]
LINUX = {
    "os": [
        *(
            "pidfd_open",
            "memfd_create",
            "eventfd",
            "splice",
            "sendfile",
            "copy_file_range",
            "posix_fallocate",
        ),
        *("posix_fadvise", "sched_getaffinity", "pipe2", "O_PATH", "O_TMPFILE", "setns", "unshare", "preadv"),
    ],
    "select": ["epoll", "EPOLLIN", "EPOLLOUT"],
    "signal": ["sigtimedwait", "SIGPWR", "SIGSTKFLT", "pidfd_send_signal"],
    "socket": ["SO_PEERCRED", "TCP_INFO", "TCP_USER_TIMEOUT", "AF_NETLINK"],
}
# What stands before each program. The C library, which has inotify, is refused as well.
ELSEWHERE = f"""
import ctypes, importlib, importlib.abc, sys
absent = {{*{COMPILED!r}, *sys.argv.pop(1).split()}}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

for name in absent:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for module, names in {LINUX!r}.items():
    for name in names:
        if hasattr(found := importlib.import_module(module), name):
            delattr(found, name)

def refuse(*_, **__):
    raise OSError("no such library")

ctypes.CDLL = ctypes.PyDLL = refuse
"""
COMMAND_LINE = ELSEWHERE + "from runcast.cli import main\nmain()"
PYTHON = """
import sys
from runcast.client import Client

with Client(sys.argv[1]) as client:
    run = client.start(["cat"], input="from Python\\n")
    print(run.output(), run.wait(), client.get(run.id).name)
"""


@pytest.fixture(scope="module", name="server")
def server_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server whose runs anybody may start."""
    folder = tmp_path_factory.mktemp("server")
    with Server(folder, "uvicorn", ASGI, store=Store.open(folder / "store")) as server:
        yield server


@pytest.fixture(params=["", " ".join(UNIX)], ids=["no-linux", "no-unix"], name="absent")
def absent_fixture(request: pytest.FixtureRequest) -> str:
    """Give the names of modules that are missing, too."""
    return str(request.param)


def call(code: str, *arguments: str, stdin: str = "") -> str:
    """Return what a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_command_line(server: Server, absent: str, tmp_path: Path):
    """A command is started on a server and followed; output that starts elsewhere is pushed."""
    run = ("run", "-i", "--server", server.root, "--", "sh", "-c", "echo one; cat")
    assert call(COMMAND_LINE, absent, *run, stdin="two\n") == "one\ntwo\n"
    assert call(COMMAND_LINE, absent, "follow", "--server", server.root, "last") == "one\ntwo\n"
    url = f"{server.root}/v1/stream/{tmp_path.name}"
    call(COMMAND_LINE, absent, "push", url, stdin="three\n")
    assert call(COMMAND_LINE, absent, "follow", url) == "three\n"


@pytest.mark.slow
def test_python(server: Server, absent: str):
    """The Python client starts, reads and waits."""
    assert call(ELSEWHERE + PYTHON, absent, server.root) == "from Python\n exit code 0 cat\n"
