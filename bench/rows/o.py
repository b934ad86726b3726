"""O: a big log: opening it, its last lines, its middle, a line by its number.

1 GB and 12.5 million lines; with `--full` 10 GB and 125 million, all of them real bytes. Made
once, through the writer that supervisors use; read warm, from memory. Answers are checked: a
line says its number.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

from bench.bench import Bench
from bench.measure import OURS, Results, percentile
from bench.processes import peak_growth
from bench.row import Figure, Goal, Row
from runcast.log import FileLog, FileLogWriter
from runcast.model import CHUNK_BYTES, Channel, Outcome, Reason
from runcast.store.run_files import RunFiles

_LINE = 80
_USUAL, _FULL = 1_000_000_000, 10_000_000_000  # bytes
_TAIL = 1000  # lines
_LOOKS = 20  # a round
_GOAL_MS = 20.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the time of each question to a log that was just opened, and the memory it took."""
    size = _FULL if bench.full else _USUAL
    with bench.memory(size) as folder:
        path = f"{folder}/run"
        bench.say(f"O: writing a log of {size / 1e9:g} GB")
        _write(path, bench.program("linegen"), size)
        for name, question in _questions(size).items():
            found = Results()
            for number in range(bench.rounds):
                bench.calm()
                bench.say(f"O: {name}: round {number + 1} of {bench.rounds}")
                found.add(OURS, _ask(path, question))
            what = f"{name}, log of {size / 1e9:g} GB"
            yield found.figure("worst", f"{what}, worst of {_LOOKS}", "ms", goals=(Goal(_GOAL_MS),))
            yield found.figure("memory", f"{what}, memory it took", "KiB", goals=(Goal(1024),))


def _write(path: str, program: str, size: int) -> None:
    directory = RunFiles.create(path, {})
    assert directory.acquire(), "the lock of a new run is free"
    log = FileLogWriter(directory, cap_bytes=None)
    command = [program, str(size // _LINE), "-w", str(CHUNK_BYTES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as lines:
        assert lines.stdout is not None
        while data := lines.stdout.read(CHUNK_BYTES):
            log.append(Channel.STDOUT, data)
    log.close(Outcome(Reason.EXITED, 0))


def _questions(size: int) -> dict[str, Callable[[FileLog], None]]:
    middle, lines = size // 2, size // _LINE

    def opened(log: FileLog) -> None:
        assert log.tail_offset == size, "the tail is not where it was written"
        assert log.closed, "the log was closed"

    def tail(log: FileLog) -> None:
        offset = log.offset_of_tail(_TAIL)
        data = b"".join(_bytes_from(log, offset))
        assert data.count(b"\n") == _TAIL, "as many lines as requested"
        assert _number(data) == lines - _TAIL, "the last lines begin elsewhere"

    def at_middle(log: FileLog) -> None:
        chunks = log.read(middle).chunks
        assert chunks[0].offset == middle, "the chunk begins elsewhere"
        assert _number(chunks[0].data) == middle // _LINE, "other bytes than were written"

    def line(log: FileLog) -> None:
        assert log.offset_of_line(lines // 2 + 1) == lines // 2 * _LINE, "the line begins elsewhere"

    def count(log: FileLog) -> None:
        assert log.lines == lines, "other lines than were written"

    return {
        "open, find the tail": opened,
        f"tail -n {_TAIL}": tail,
        "read 64 KiB at the middle": at_middle,
        "offset of the middle line": line,
        "count the lines": count,
    }


def _bytes_from(log: FileLog, offset: int) -> Iterator[bytes]:
    """Yield all bytes from an offset on."""
    tail = log.tail_offset
    while offset < tail:
        reading = log.read(offset)
        yield from (chunk.data for chunk in reading.chunks)
        offset = reading.next


def _number(line: bytes) -> int:
    return int(line[21:33])


def _ask(path: str, question: Callable[[FileLog], None]) -> dict[str, float]:
    """Ask a log that was just opened, again and again; return the longest it took, and the memory."""
    growth, seconds = peak_growth(), []
    for _ in range(_LOOKS):
        begun = time.perf_counter()
        log = FileLog(path)
        question(log)
        log.close()
        seconds.append(time.perf_counter() - begun)
    return {"worst": percentile(seconds, 100) * 1000, "memory": growth.kib()}


ROW = Row("O", "a log of gigabytes: open, tail, read, find a line", measure)
