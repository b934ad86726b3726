"""The metrics: what is counted, under which names."""

from collections import Counter

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from runcast.model import Outcome, Reason
from runcast.server.metrics import Metrics, Sources
from runcast.server.run_counts import RunCounts

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def values(metrics: Metrics, accept: str = "") -> dict[tuple[str, ...], float]:
    """Return what a Prometheus would read, by name and labels."""
    text, media_type = metrics.text(accept)
    parse = text_string_to_metric_families if media_type.startswith("text/plain") else None
    families = (parse or openmetrics.text_string_to_metric_families)(text.decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def runs() -> RunCounts:
    """Return counts of two runs that ended, one that goes on and one that waits."""
    counts = RunCounts(["build"])
    counts.add("build", Outcome(Reason.EXITED, 0, started_at=100.0, ended_at=102.5))
    counts.add('say "hi"\n', Outcome(Reason.TIMED_OUT, signal=15, started_at=100.0, ended_at=140.0))
    counts.set_now(Counter(build=1), Counter(deploy=1))
    return counts


def test_counts():
    """Replies are counted by method and status, refusals once more; other numbers come from callbacks."""
    viewers = {"sse": 3, "durable long-poll": 2}
    metrics = Metrics(
        Sources(lambda: 7, RunCounts, lambda: viewers, lambda: {"build": 4096}, lambda: (1 << 30, 99))
    )
    metrics.count("GET", 200, refused=False)
    metrics.count("GET", 200, refused=False)
    metrics.count("POST", 401, refused=True)
    metrics.count("GET", 303, refused=True)  # a token URL is answered by the guard, and refused nothing

    read = values(metrics)

    assert read["runcast_http_requests_total", "GET", "200"] == 2
    assert read["runcast_http_requests_total", "POST", "401"] == 1
    assert read["runcast_http_refused_total", "401"] == 1
    assert ("runcast_http_refused_total", "303") not in read
    assert read["runcast_runs_started_total",] == 7
    assert read["runcast_viewers", "sse"] == 3
    assert read["runcast_viewers", "websocket"] == 0
    assert read["runcast_durable_readers", "long-poll"] == 2
    assert read["runcast_durable_readers", "sse"] == 0
    assert read["runcast_disk_bytes", "build"] == 4096
    assert read["runcast_store_free_bytes",] == 1 << 30
    assert read["runcast_store_free_files",] == 99
    assert read["process_open_fds",] > 0


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "OpenMetrics"])
def test_runs(accept: str):
    """Both formats, each by its own parser, have the runs by name, outcome, queue and duration."""
    read = values(Metrics(Sources(runs=runs)), accept)

    assert read["runcast_runs_ended_total", "build", "ok"] == 1
    assert read["runcast_runs_ended_total", 'say "hi"\n', "timed out"] == 1
    assert read["runcast_runs_running", "build"] == 1
    assert read["runcast_runs_queued", "deploy"] == 1
    assert read["runcast_run_duration_seconds_bucket", "1.0", "build"] == 0
    assert read["runcast_run_duration_seconds_bucket", "5.0", "build"] == 1
    assert read["runcast_run_duration_seconds_bucket", "+Inf", "build"] == 1
    assert read["runcast_run_duration_seconds_sum", "build"] == 2.5
    assert read["runcast_run_duration_seconds_count", 'say "hi"\n'] == 1


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain"),
        ("application/openmetrics-text;q=0", "text/plain"),
        ("application/openmetrics-text; version=nonsense", "application/openmetrics-text"),
        (f"{OPENMETRICS},text/plain;q=0.5", "application/openmetrics-text"),
    ],
)
def test_media_type(accept: str, media_type: str):
    """OpenMetrics is for clients that name it; all others have the text format, whatever they accept."""
    assert Metrics(Sources()).text(accept)[1].startswith(f"{media_type}; version=")


def test_strangers_choose_no_labels():
    """Methods that nobody knows are counted as one: a stranger cannot fill the memory with labels."""
    metrics = Metrics(Sources())
    for number in range(100):
        metrics.count(f"X{number}", 401, refused=True)

    labels = [key for key in values(metrics) if key[0] == "runcast_http_requests_total"]

    assert labels == [("runcast_http_requests_total", "other", "401")]


def test_servers_do_not_share():
    """Two servers in one process count for themselves."""
    one, other = Metrics(Sources(started=lambda: 1)), Metrics(Sources())
    one.count("GET", 200, refused=False)

    assert ("runcast_http_requests_total", "GET", "200") not in values(other)
