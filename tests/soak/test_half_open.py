"""T14: 10,000 half requests: a known client notices nothing, and the server takes little memory for them."""

import time
from collections.abc import Callable

from runcast import Store
from tests.helpers.sockets import Crowd
from tests.helpers.wait import MS, wait_until
from tests.integration.server.test_crowded import HALF, serving

CONNECTIONS = 10_000
PER_SECOND = 1000
ADDRESSES = 5
P99_SECONDS = 500 * MS
MEMORY_KIB = 64 * 1024
FILES = 12_000  # the server's limit


def test_half_open(store: Store, sized: Callable[[int], int], say: Callable[[str], None]):
    """T14: while they come a known client is answered; when they are gone all is as before."""
    with serving(files=FILES) as server:
        for _ in range(20):
            server.ask("/runs")
        before, times, peak = server.status("VmRSS"), [], 0
        with Crowd(server.port, ADDRESSES) as crowd:
            began = time.monotonic()
            for number in range(max(sized(CONNECTIONS // 50), 2)):
                crowd.open(50, HALF)
                asked = time.monotonic()
                assert server.ask("/runs")["runs"] == []
                times.append(time.monotonic() - asked)
                peak = max(peak, server.status("VmRSS"))
                due = began + number * 50 / PER_SECOND
                wait_until(lambda due=due: crowd.listen() or time.monotonic() >= due)
        gone = time.monotonic()
        assert server.ask("/runs")["runs"] == []
        assert time.monotonic() - gone < 1000 * MS
    p99 = sorted(times)[int(len(times) * 0.99)]
    say(f"{50 * len(times):,} half-open: p99 {p99:.3f} s, memory +{peak - before} KiB")
    assert p99 < P99_SECONDS
    assert peak - before < MEMORY_KIB
