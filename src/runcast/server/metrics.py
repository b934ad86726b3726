"""Metrics for Prometheus, in a registry of this server's own.

Owns what is counted and its names. What others know (runs started, viewers) is asked for when the
metrics are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from runcast._version import __version__

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
_FORMATS = ("text", "events", "chunks", "ndjson", "poll", "websocket", "asciicast", "list")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")  # a label must not be a stranger's to choose


class Metrics(Collector):
    """What one server counts.

    Args:
        started: returns how many runs this server started.
        viewers: returns how many live replies there are now, by format.
    """

    def __init__(self, started: Callable[[], int], viewers: Callable[[], Mapping[str, int]]) -> None:
        self._started, self._viewers = started, viewers
        self._requests: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def count(self, method: str, status: int, *, refused: bool) -> None:
        """Count one reply, and whether the guard gave it."""
        self._requests[method if method in _METHODS else "other", str(status)] += 1
        if refused and status >= 400:
            self._refused[str(status)] += 1

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Yield what is known now; the registry calls this."""
        info = GaugeMetricFamily("runcast_build_info", "The version of runcast.", labels=["version"])
        info.add_metric([__version__], 1)
        requests = CounterMetricFamily(
            "runcast_http_requests", "Requests answered.", labels=["method", "status"]
        )
        for labels, count in sorted(self._requests.items()):
            requests.add_metric(labels, count)
        refused = CounterMetricFamily(
            "runcast_http_refused", "Requests that the guard refused.", labels=["status"]
        )
        for status, count in sorted(self._refused.items()):
            refused.add_metric([status], count)
        started = CounterMetricFamily("runcast_runs_started", "Runs started through this server.")
        started.add_metric([], self._started())
        viewers = GaugeMetricFamily("runcast_viewers", "Live replies now.", labels=["format"])
        for name, count in (dict.fromkeys(_FORMATS, 0) | dict(self._viewers())).items():
            viewers.add_metric([name], count)
        return [info, requests, refused, started, viewers]
