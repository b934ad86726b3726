"""The metrics: what is counted, under which names."""

from prometheus_client.parser import text_string_to_metric_families

from runcast.server.metrics import Metrics


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return what a Prometheus would read, by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_counts():
    """Replies are counted by method and status, refusals once more; others' numbers are asked for."""
    metrics = Metrics(lambda: 7, lambda: {"events": 3})
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
    assert read["runcast_viewers", "events"] == 3
    assert read["runcast_viewers", "websocket"] == 0
    assert read["process_open_fds",] > 0


def test_strangers_choose_no_labels():
    """Methods that nobody knows are counted as one: a stranger cannot fill the memory with labels."""
    metrics = Metrics(int, dict)
    for number in range(100):
        metrics.count(f"X{number}", 401, refused=True)

    labels = [key for key in values(metrics) if key[0] == "runcast_http_requests_total"]

    assert labels == [("runcast_http_requests_total", "other", "401")]


def test_servers_do_not_share():
    """Two servers in one process count for themselves."""
    one, other = Metrics(lambda: 1, dict), Metrics(int, dict)
    one.count("GET", 200, refused=False)

    assert ("runcast_http_requests_total", "GET", "200") not in values(other)
