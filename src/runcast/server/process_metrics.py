"""The metrics of processes, for a server of several: the sums over its parent and its workers.

Owns what is summed. Whichever worker answers, a Prometheus reads the same numbers: processor time has that of
workers that have ended, or it would go down. Memory that processes share counts for each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from runcast.server.scoreboard import Scoreboard

__all__ = ["WorkersCollector", "cpu_seconds"]

_CPU, _BEGAN = "process_cpu_seconds", "process_start_time_seconds"
_TRIES = 100
_DIGITS = 4  # of seconds; a tick has 2 to 3


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, also of one that has ended and is not reaped."""
    return next((one.samples[0].value for one in _of_process(pid) if one.name == _CPU), 0.0)


class WorkersCollector(Collector):
    """The metrics of a server's processes.

    Args:
        board: of the server.
    """

    def __init__(self, board: Scoreboard) -> None:
        self._board = board

    def collect(self) -> Iterable[Metric]:
        """Yield the sums, and how many workers there are; the registry calls this."""
        found = self._found()
        yield from found
        yield GaugeMetricFamily("runcast_workers", "Worker processes now.", value=len(self._board.pids))
        text = "Worker processes started for others that had ended."
        yield CounterMetricFamily("runcast_workers_restarted", text, value=self._board.restarts)

    def _found(self) -> list[Metric]:
        board, found = self._board, list[Metric]()
        for _ in range(_TRIES):  # one that came or went meanwhile would be missed, or counted twice
            version = board.version
            found = self._summed([os.getppid(), *board.pids], board.former_cpu)
            if version == board.version and not version % 2:
                break
        return found

    @staticmethod
    def _summed(pids: list[int], former_cpu: float) -> list[Metric]:
        sums: dict[str, Metric] = {}
        for one in (metric for pid in pids for metric in _of_process(pid)):
            there = sums.setdefault(one.name, one)
            if there is one:
                continue
            value, other = there.samples[0].value, one.samples[0].value
            total = min(value, other) if one.name == _BEGAN else value + other
            there.samples[0] = there.samples[0]._replace(value=total)
        if _CPU in sums:
            sample = sums[_CPU].samples[0]
            # In whole ticks of the kernel: a sum in another order may be less by a last digit, which a
            # Prometheus takes for a counter that began anew.
            sums[_CPU].samples[0] = sample._replace(value=round(sample.value + former_cpu, _DIGITS))
        return list(sums.values())


def _of_process(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()
