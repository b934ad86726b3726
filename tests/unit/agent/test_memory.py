"""What a run takes of an agent's memory, counted in bytes."""

import tracemalloc
from pathlib import Path

from runcast.agent.own_run import OwnRun
from runcast.log import FileLogWriter
from runcast.model import Channel
from runcast.store.files import StoreFiles
from runcast.store.run_files import RunFiles

RUNS, LINES = 50, 30
MOST = 4 * 1024  # 1,000 of them, and what an agent is without, are well below 45 MB


def test_bytes_of_a_run_that_is_shipped(tmp_path: Path):
    """A run that goes on, whose log is open and read to its end, takes a few KiB."""
    files = StoreFiles(str(tmp_path))
    writers = [written(tmp_path, number) for number in range(RUNS + 1)]
    warm = shipped(files, RUNS)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        runs = [shipped(files, number) for number in range(RUNS)]
        took = (tracemalloc.get_traced_memory()[0] - before) / RUNS
    finally:
        tracemalloc.stop()

    assert took <= MOST
    for run in (*runs, warm):
        assert run.log.tail_offset == LINES * 3
        run.log.close()
    for writer in writers:
        writer.park()


def written(store: Path, number: int) -> FileLogWriter:
    """Return a log with lines."""
    log = FileLogWriter(RunFiles.create(f"{store}/{number}", {}), cap_bytes=None)
    for _ in range(LINES):
        log.append(Channel.STDOUT, b"ab\n")
    return log


def shipped(files: StoreFiles, number: int) -> OwnRun:
    """Return a run that was read to its end."""
    run = OwnRun(files.run(str(number)))
    while entries := run.log.entries(run.at, 8):
        run.at = entries[-1].end
    return run
