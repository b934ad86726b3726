"""A process that follows runs of a store, and tells how late their lines are.

    python -m bench.peers.follow SECONDS PATH ...

Says "ready" when it follows all of them, as an application does (`AsyncRun.follow`). Their lines are those of
`bench.peers.many`, from the first on. When all runs have ended it prints an object: how many lines came, how
many were lost, doubled or out of order, and the latencies in ms, of the lines of the first SECONDS and of the
others: from the writer's clock to here, which is the same clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from bench.measure import percentile
from runcast import AsyncRun


class Follower:
    """What came of all runs."""

    def __init__(self, seconds: float, count: int) -> None:
        self._seconds, self._begun = seconds, 0
        self._first: list[float] = []
        self._later: list[float] = []
        self._wrong = 0
        self._left = count

    async def follow(self, path: str) -> None:
        """Follow a run to its end."""
        rest, number = b"", 0
        self._left -= 1
        if not self._left:
            print("ready", flush=True)
        async for chunk in AsyncRun(path).follow():
            now = time.monotonic_ns()
            *lines, rest = (rest + chunk.data).split(b"\n")
            for line in lines:
                found, stamp = line.split()
                self._wrong += int(found) != number
                number += 1
                self._take(now, int(stamp))

    def _take(self, now: int, stamp: int) -> None:
        self._begun = self._begun or stamp
        first = stamp - self._begun < self._seconds * 1e9
        (self._first if first else self._later).append((now - stamp) / 1e6)

    def told(self) -> dict[str, float]:
        """Return what came."""
        found: dict[str, float] = {"lines": len(self._first) + len(self._later), "wrong": self._wrong}
        for name, values in (("first", self._first), ("later", self._later)):
            if values:
                found |= {f"{name} p{share}": percentile(values, share) for share in (50, 99)}
        return found


async def main(seconds: float, paths: list[str]) -> None:
    """Follow them all."""
    follower = Follower(seconds, len(paths))
    async with asyncio.TaskGroup() as tasks:
        for path in paths:
            tasks.create_task(follower.follow(path))
    print(json.dumps(follower.told()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2:]))
