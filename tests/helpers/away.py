"""The fetching side of a store: takes segments of its logs away, and gives them back when they are wanted.

`take` puts the bytes of all segments that can be spared into another folder, the shelf. `Agent` is a process
that holds the lock of the store's agent, hears what readers want at its socket, and puts it back: real
files, a real process. `asked` has what it was asked for, in order.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path

from runcast.ids import new_run_id
from runcast.log import FileLog, FileLogWriter
from runcast.log.eviction import evict, restore
from runcast.log.segments import segment_name, segment_starts
from runcast.log.spans import Span
from runcast.model import Channel, Outcome, Reason
from runcast.store.mirrors import AGENT, agent_socket
from runcast.store.run_files import RunFiles
from runcast.supervisor.control import ControlConnection, UnixSocket, accept, listen_path
from runcast.sysio.locks import lock

__all__ = ["Agent", "make_run", "take"]


def make_run(store: str | Path, appends: Iterable[tuple[Channel, bytes]], segment_bytes: int) -> str:
    """Make a run that has ended with this output, in segments of this size; return the path of its folder."""
    path = Path(store, new_run_id())
    request = {"format": 1, "id": path.name, "name": "ls", "source": "command", "command": ["ls"]}
    directory = RunFiles.create(str(path), request | {"created_at": 1_700_000_000.0})
    assert directory.acquire()
    directory.write_state({"state": "running", "started_at": 1_700_000_000.0})
    writer = FileLogWriter(directory, segment_bytes=segment_bytes)
    for channel, data in appends:
        writer.append(channel, data)
    writer.close(Outcome(Reason.EXITED, 0, ended_at=1_700_000_002.0))
    return str(path)


def take(path: str, shelf: str | Path, keep: Callable[[int], bool] = lambda start: False) -> list[int]:
    """Put the segments of a run onto the shelf, but those that `keep` says; return which are away now."""
    directory = RunFiles(path)
    Path(shelf, directory.id).mkdir(parents=True, exist_ok=True)
    away = []
    for start in segment_starts(directory.log_path):
        file, there = Path(directory.log_path, segment_name(start)), Path(shelf, directory.id, str(start))
        if not keep(start) and file.exists():
            there.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):  # dropped meanwhile
                os.link(file, there)
                evict(directory, start)
        if not file.exists():
            away.append(start)
    return away


class Agent:
    """The process. Use it as a context.

    Args:
        store: whose agent it is.
        shelf: the folder with what is away.
        slow: seconds that each fetch takes.
    """

    def __init__(self, store: str | Path, shelf: str | Path, slow: float = 0.0) -> None:
        self._command = [sys.executable, "-m", "tests.helpers.away", str(store), str(shelf), str(slow)]
        self._log = Path(shelf, "asked")
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> "Agent":
        """Start the process, which then holds and hears nothing yet: readers wait for a few seconds only."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        self._expect(b"begun\n")
        return self

    def _expect(self, word: bytes) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == word

    def __enter__(self) -> "Agent":
        if self._process is None:
            self.prepare()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        self._expect(b"ready\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            self._process = None

    @property
    def asked(self) -> list[tuple[str, int]]:
        """The runs and the segments that it was asked for."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def forget(self) -> None:
        """Forget what it was asked for."""
        self._log.unlink(missing_ok=True)


class AwayLog(FileLog):
    """A log of which everything is taken away whenever a read begins."""

    def __init__(self, path: str, shelf: str | Path, due: Callable[[], bool] = lambda: True) -> None:
        super().__init__(path)
        self._shelf, self._due = shelf, due

    def _spans(self) -> list[Span]:  # type: ignore[override]
        if self._due():
            self.close()
            take(self.directory.path, self._shelf)
        return list(super()._spans())


def _serve(store: str, shelf: str, slow: float) -> None:
    import time

    print("begun", flush=True)
    if not sys.stdin.readline():
        return
    os.makedirs(f"{store}/.owners", mode=0o700, exist_ok=True)
    held = os.open(f"{store}/.owners/{AGENT}", os.O_RDWR | os.O_CREAT, 0o600)
    assert lock(held)
    Path(agent_socket(store)).unlink(missing_ok=True)
    listener = listen_path(agent_socket(store), backlog=128)
    listener.setblocking(True)
    print("ready", flush=True)
    while True:
        connection = accept(listener)
        for request in _requests(connection):
            assert request["op"] == "want"
            run, start = request["run"], request["offset"]
            with open(f"{shelf}/asked", "a") as asked:
                asked.write(f"{run} {start}\n")
            time.sleep(slow)
            draft = f"{store}/.away-draft-{run}"
            shutil.copyfile(f"{shelf}/{run}/{start}", draft)
            os.chmod(draft, 0o600)
            restore(RunFiles(f"{store}/{run}"), start, draft)


def _requests(connection: UnixSocket) -> list[dict[str, object]]:
    control, found = ControlConnection(connection), []
    connection.setblocking(True)
    while (requests := control.receive()) is not None:
        found += [request for request, _ in requests]
    connection.close()
    return found


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], float(sys.argv[3]))
