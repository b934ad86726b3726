"""Metrics for Prometheus, in a registry of this server's own.

Owns the names of all metrics, and counts requests. What others count (runs, viewers, disk) is read when the
metrics are read. Names follow Prometheus' rules: https://prometheus.io/docs/practices/naming/. All labels are
of a bounded number, and those that runcast has elsewhere are the same: names of `?format=` and `?live=`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from runcast._version import __version__
from runcast.server.process_metrics import WorkersCollector
from runcast.server.run_counts import RunCounts
from runcast.server.scoreboard import Counts, Worker
from runcast.store.sharing import LinkState
from runcast.web.http.response_stream import DURABLE
from runcast.wire import FORMS
from runcast.wire.negotiation import accepts

__all__ = ["Metrics", "Sources"]

_OPENMETRICS = "application/openmetrics-text"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")  # a label must not be a stranger's to choose


class Sources(NamedTuple):
    """Where the numbers of others are. All are called in a thread.

    Attributes:
        started: returns how many runs this server started.
        runs: looks at the runs of the store, and returns what is known of them.
        viewers: returns how many live replies there are now, by what they are called.
        disk: returns the bytes of disk that runs take, by name.
        free: returns the bytes and the files that the store's disk has room for; None where it is not there.
        link: returns how the link to other hosts is; None where the store is shared with none.
    """

    started: Callable[[], int] = int
    runs: Callable[[], RunCounts] = RunCounts
    viewers: Callable[[], Mapping[str, int]] = dict
    disk: Callable[[], Mapping[str, int]] = dict
    free: Callable[[], tuple[int, int] | None] = lambda: None
    link: Callable[[], LinkState | None] = lambda: None


class Metrics(Collector):
    """What one server counts.

    Args:
        sources: of the numbers of others.
        counts: takes those of requests; those of all workers of the server where it has several.
        worker: the one that this is, where it has.
    """

    def __init__(self, sources: Sources, counts: Counts | None = None, worker: Worker | None = None) -> None:
        self._sources = sources
        self._counts = counts or Counts()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        if worker is None:
            ProcessCollector(registry=self._registry)
        else:
            self._registry.register(WorkersCollector(worker.board))

    def count(self, method: str, status: int, *, refused: bool) -> None:
        """Count one reply, and whether the guard gave it."""
        self._counts.add("requests", method if method in _METHODS else "other", str(status))
        if refused and status >= 400:
            self._counts.add("refused", str(status))

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics, and their media type: OpenMetrics for a client that names it in `Accept`."""
        if accepts(accept, _OPENMETRICS):
            text: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterable[Metric]:
        """Yield what is known now; the registry calls this."""
        yield _gauge("runcast_build_info", "The version of runcast.", ("version",), [((__version__,), 1)])
        requests = self._counts.totals("requests").items()
        yield _counter("runcast_http_requests", "Requests answered.", ("method", "status"), requests)
        refused = self._counts.totals("refused").items()
        yield _counter("runcast_http_refused", "Requests that the guard refused.", ("status",), refused)
        started = [((), self._sources.started())]
        yield _counter("runcast_runs_started", "Runs started through this server.", (), started)
        yield from _of_runs(self._sources.runs())
        yield from _of_viewers(self._sources.viewers())
        disk = [((name,), size) for name, size in self._sources.disk().items()]
        text = "Disk that the runs of a name take, measured once a minute."
        yield _gauge("runcast_disk_bytes", text, ("name",), disk)
        if (free := self._sources.free()) is not None:
            text = "Disk that the store's file system has left for this user."
            yield _gauge("runcast_store_free_bytes", text, (), [((), free[0])])
            text = "Files that the store's file system has room for."
            yield _gauge("runcast_store_free_files", text, (), [((), free[1])])
        if (link := self._sources.link()) is not None:
            yield from _of_link(link)


Values = Iterable[tuple[tuple[str, ...], float]]


def _of_runs(runs: RunCounts) -> Iterator[Metric]:
    yield _counter(
        "runcast_runs_ended",
        "Runs of the store that ended while this server ran, from any process.",
        ("name", "outcome"),
        runs.ended.items(),
    )
    running = [((name,), count) for name, count in runs.running.items()]
    yield _gauge("runcast_runs_running", "Runs of the store that go on now.", ("name",), running)
    queued = [((name,), count) for name, count in runs.queued.items()]
    yield _gauge("runcast_runs_queued", "Runs of the store that wait now, by queue.", ("queue",), queued)
    durations = HistogramMetricFamily(
        "runcast_run_duration_seconds",
        "From the start to the end of the runs in runcast_runs_ended that had started.",
        labels=["name"],
    )
    for name, one in sorted(runs.durations.items()):
        durations.add_metric([name], list(one.buckets()), one.sum)
    yield durations


def _of_link(link: LinkState) -> Iterator[Metric]:
    text = "Whether the engine that shares runs with other hosts can be reached."
    yield _gauge("runcast_link_up", text, (), [((), int(link.up))])
    text = "Other hosts that are silent, though runs of theirs go on."
    yield _gauge("runcast_link_silent_hosts", text, (), [((), link.silent)])
    if link.unshipped is not None:
        text = "Output of this host's runs that the engine has not acknowledged."
        yield _gauge("runcast_link_unshipped_bytes", text, (), [((), link.unshipped)])


def _of_viewers(viewers: Mapping[str, int]) -> Iterator[Metric]:
    names = [*(form.name for form in FORMS.values() if form.live), "list", "search"]
    logs = [((name,), viewers.get(name, 0)) for name in names]
    yield _gauge("runcast_viewers", "Live replies now, by format.", ("format",), logs)
    durable = [((live,), viewers.get(DURABLE + live, 0)) for live in ("long-poll", "sse")]
    yield _gauge("runcast_durable_readers", "Readers of durable streams now.", ("live",), durable)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Values) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _counter(name: str, text: str, labels: tuple[str, ...], values: Values) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    for labels, value in sorted(values):
        family.add_metric(labels, value)
    return family
