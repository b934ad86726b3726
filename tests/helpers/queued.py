"""Runs that wait for their turn, behind one that goes on until the test has it end."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runcast import Run, Store
from runcast.errors import RunFinished
from runcast.ids import new_run_id
from runcast.store.folder import make_store
from runcast.store.origin import origin_of
from runcast.store.run_files import RunFiles
from runcast.supervisor.launch import launch


class Queued:
    """A run that waits behind another.

    Attributes:
        run: the run.
    """

    def __init__(self, run: Run, before: Run) -> None:
        self.run = run
        self._before = before

    def give_slot(self) -> None:
        """Have the other one end, so that this one has its turn."""
        self._before.kill()


@contextlib.contextmanager
def queued(
    store: Store, command: list[str], *, lifeline: int | None = None, **options: Any
) -> Iterator[Queued]:
    """Give a queued run; at the end of the block what it waits for is gone, and removed.

    Args:
        store: where it is.
        command: its program and arguments.
        lifeline: the reading end of a pipe whose hang-up ends the run.
        options: as a request to the supervisor has them, such as `stdin="pipe"`.
    """
    before = store.start(["sleep", "1000"], queue="one")
    assert before.pid
    try:
        yield Queued(start_queued(store, command, lifeline, options), before)
    finally:
        with contextlib.suppress(RunFinished):
            before.kill()
        before.wait(check=False)
        for _ in before.follow():
            pass
        store.remove(before)


@contextlib.contextmanager
def place_before(store: Store) -> Iterator[None]:
    """Hold a place in the queue as a start does whose run is not there yet: all that come later wait."""
    path = Path(store.path, "queues", "one", new_run_id())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)


def start_queued(
    store: Store, command: list[str], lifeline: int | None = None, options: Mapping[str, Any] = {}
) -> Run:
    """Start a run that waits in the queue; see `queued`."""
    run_id = new_run_id()
    new, path = f"{store.path}/.new-{run_id}", f"{store.path}/{run_id}"
    described: dict[str, Any] = {
        "format": 1,
        "id": run_id,
        "name": Path(command[0]).name,
        "source": "command",
        "command": command,
        "cwd": os.getcwd(),
        "env": {},
        "queue": "one",
        "created_at": time.time(),
    } | {name: options[name] for name in ("tty", "columns", "rows") if name in options}
    make_store(store.path)
    RunFiles.create(new, described, origin_of)
    env = {**os.environ, "RUNCAST_RUN_ID": run_id}
    request = {"id": run_id, "cwd": os.getcwd(), "argv": command, "env": env, "new": new, "path": path}
    fds = {} if lifeline is None else {"lifeline": lifeline}
    launch(store.path, request | {"queues": [["one", 1]]} | options, fds)
    return store.get(run_id)
