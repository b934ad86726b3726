"""What a place in a queue costs a start, beside the same start without one, in pairs in one run.

    .venv/bin/python scripts/queue_costs.py [PAIRS]

Prints the median of each and of their ratios, in milliseconds: until `start` has returned, and until the
run's first line was read.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from runcast import Store

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions

COMMAND = ["/bin/echo", "x"]


def measure(store: Store, options: StartOptions) -> tuple[float, float]:
    """Return the seconds until a start has returned, and until its first line was there."""
    begun = time.perf_counter()
    run = store.start(COMMAND, **options)
    started = time.perf_counter()
    next(run.lines())
    read = time.perf_counter()
    for _ in run.follow():
        pass
    return started - begun, read - begun


def main(pairs: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="runcast-queue-") as folder:
        store = Store.open(f"{folder}/store")
        forms: dict[str, StartOptions] = {"without": {}, "with a queue": {"queue": "one", "max_running": 4}}
        for _ in range(20):
            for options in forms.values():
                measure(store, options)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
        for number in range(pairs):
            for name in sorted(forms, reverse=bool(number % 2)):
                found[name].append(measure(store, forms[name]))
        for at, what in enumerate(("start", "first line")):
            plain, queued = ([times[at] * 1000 for times in found[name]] for name in forms)
            ratio = statistics.median(b / a for a, b in zip(plain, queued, strict=True))
            print(
                f"{what:10}  without {statistics.median(plain):.2f} ms (least {min(plain):.2f})  with one "
                f"{statistics.median(queued):.2f} ms (least {min(queued):.2f})  {ratio:.2f}x"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
