"""Runs that are over, made without a process: their folders, as a supervisor leaves them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from runcast.ids import new_run_id
from runcast.model import Channel, Outcome, Reason
from runcast.store.run_files import RunFiles
from tests.unit.log.disks import SECOND, ClockedFile

OUT, ERR = Channel.STDOUT, Channel.STDERR
APPENDS = ((OUT, b"one\n"), (ERR, b"two\r\n"), (OUT, b"three"))
EXITED = Outcome(Reason.EXITED, 0, ended_at=1_700_000_010.0, started_at=1_700_000_000.25)


def make_run(
    store: Path,
    run_id: str = "",
    *,
    outcome: Outcome = EXITED,
    appends: Sequence[tuple[Channel, bytes]] = APPENDS,
    name: str = "ls",
    begun: float = 1_700_000_000.0,
    times: Sequence[float] = (),
    options: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """Make the folder of a run that has ended; return its id.

    `options` are those it was started with; `times` are those of the appends, in seconds behind
    `begun`, one apart if none are given.
    """
    run_id = run_id or new_run_id()
    store.mkdir(mode=0o700, exist_ok=True)
    request = {
        **{"format": 1, "id": run_id, "name": name, "source": "command", "command": [name, "-l"]},
        **{"cwd": "/", "env": {}, "timeout": None, "idle_timeout": None, "cap": None},
        **{"created_at": begun, "host": "here", **options},
    }
    directory = RunFiles.create(str(store / run_id), request)
    assert directory.acquire()
    directory.write_state({"state": "running", "pid": 4711, "started_at": begun + 0.25})
    writer = ClockedFile(directory)
    writer.now = int(begun * SECOND)
    for (channel, data), time in zip(appends, times or range(len(appends)), strict=True):
        writer.now = int((begun + time) * SECOND)
        writer.append(channel, data)
        writer.now += SECOND
    writer.close(outcome)
    return run_id
