"""Many runs in one process: it makes them in a store, writes to them at a rate, and ends them.

    python -m bench.peers.many STORE

Hears lines on stdin, answers each with one: `make N` with the ids, `write RATE SECONDS` with how many lines
it wrote to each run, `end` with nothing, after which all of them have an outcome. Each line has 80 bytes: the
number of the line in its run, and when it was written, in nanoseconds of the monotonic clock.
"""

from __future__ import annotations

import sys
import time

from runcast.ids import new_run_id
from runcast.log import FileLogWriter
from runcast.model import Channel, Outcome, Reason, State
from runcast.store.contents import FORMAT
from runcast.store.files import StoreFiles
from runcast.store.run_files import RunFiles

LINE_BYTES = 80
_TICK = 0.01  # the runs have their turns in so many groups a second: nobody writes to all in one moment


class Runs:
    """The runs that this process writes."""

    def __init__(self, store: str) -> None:
        self._files = StoreFiles(store)
        self._logs: list[FileLogWriter] = []
        self._number = 0

    def make(self, count: int) -> list[str]:
        """Make runs, and return their ids."""
        ids = []
        for _ in range(count):
            run_id = new_run_id()
            draft = self._files.draft(run_id)
            request = {"format": FORMAT, "id": run_id, "name": "bench", "created_at": time.time()}
            made = RunFiles.create(draft.path, request)
            assert made.acquire(), "the lock of a new run is free"
            made.write_state({"state": State.RUNNING.value, "started_at": time.time()})
            files = made.publish(self._files.run(run_id).path)
            self._logs.append(FileLogWriter(files, cap_bytes=None))
            ids.append(run_id)
        return ids

    def write(self, rate: float, seconds: float) -> int:
        """Write to each run so many lines a second; return how many each of them got."""
        count, begun = len(self._logs), time.monotonic()
        lines = max(1, round(rate * seconds))
        groups = max(1, round(1 / rate / _TICK))
        for number in range(lines):
            for group in range(groups):
                due = begun + (number + group / groups) / rate
                while (left := due - time.monotonic()) > 0:
                    time.sleep(left)
                for log in self._logs[group * count // groups : (group + 1) * count // groups]:
                    log.append(Channel.STDOUT, line(self._number + number))
        self._number += lines
        return lines

    def end(self) -> None:
        """Give all of them their outcome."""
        for log in self._logs:
            log.close(Outcome(Reason.EXITED, 0, ended_at=time.time()))
        self._logs.clear()


def line(number: int) -> bytes:
    """Return a line."""
    return (b"%08d %d" % (number, time.monotonic_ns())).ljust(LINE_BYTES - 1) + b"\n"


def main(store: str) -> None:
    """Do what stdin says."""
    runs = Runs(store)
    for said in sys.stdin:
        match said.split():
            case ["make", count]:
                answer = " ".join(runs.make(int(count)))
            case ["write", rate, seconds]:
                answer = str(runs.write(float(rate), float(seconds)))
            case _:
                runs.end()
                answer = ""
        print(answer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
