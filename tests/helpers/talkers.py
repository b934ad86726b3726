"""A run that writes as many lines as it is told to, flat out, on both channels, and its viewer elsewhere."""

import itertools
import threading
from pathlib import Path

from runcast import Run
from runcast.model import Reason
from runcast.run.base import files_of
from tests.helpers.link_hosts import PATIENCE, Host, same
from tests.helpers.wait import wait_until

__all__ = ["Talker"]

_numbers = itertools.count()
_PROGRAM = """
import sys
number = 0
for word in sys.stdin:
    for number in range(number, number + int(word)):
        print("line", number, "x" * (number % 97))
        number % 7 or print("error", number, file=sys.stderr)
    number += 1
    sys.stdout.flush()
    open(sys.argv[1], "a").write("x")
"""


class Talker:
    """A run of one host, and a follower of it on another.

    Attributes:
        run: the run.
        mirror: the run as the other host has it.
    """

    def __init__(self, host: Host, other: Host) -> None:
        self._done = Path(host.store.path).parent / f"told-{next(_numbers)}"
        self.run: Run = host.store.start(["python3", "-c", _PROGRAM, str(self._done)], stdin="pipe")
        self.mirror = other.get(self.run)
        self._pid = wait_until(lambda: files_of(self.run).state().get("pid"), PATIENCE)
        self._told = 0
        self._received: list[bytes] = []
        self._follower = threading.Thread(target=self._follow)
        self._follower.start()

    def _follow(self) -> None:
        self._received += [
            chunk.data for chunk in self.mirror.follow(timeout=10 * PATIENCE) if chunk is not None
        ]

    def talk(self, lines: int) -> None:
        """Have it write so many lines: begin, and do not wait."""
        self.run.send(b"%d\n" % lines)
        self._told += 1

    def said(self) -> int:
        """Wait until all of that is in its log; return where that ends."""

        wait_until(lambda: self._done.exists() and len(self._done.read_bytes()) == self._told, PATIENCE)
        return self.run.tail_offset

    def here(self, offset: int) -> bool:
        """Return whether the other host has its log up to an offset."""
        return self.mirror.tail_offset >= offset

    def finish(self, lines: int = 1000) -> None:
        """Have it write the last lines and end; check that nobody touched it, and that all has come once."""
        assert files_of(self.run).state()["pid"] == self._pid
        self.talk(lines)
        self.run.send(b"", eof=True)
        outcome = self.run.wait(timeout=PATIENCE)
        assert (outcome.reason, outcome.code) == (Reason.EXITED, 0)
        wait_until(lambda: self.mirror.closed, 2 * PATIENCE, "all of the mirror")
        self._follower.join(PATIENCE)
        assert not self._follower.is_alive()
        same(self.run, self.mirror)
        assert b"".join(self._received) == b"".join(chunk.data for chunk in self.run.follow())
