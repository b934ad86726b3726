"""Spans of runs, with OpenTelemetry's own SDK and its exporter in memory."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from runcast import Store, attach
from runcast.errors import RuncastError
from runcast.otel import instrument, uninstrument
from runcast.trace_context import parse
from tests.helpers.cli import LONG
from tests.helpers.wait import wait_until

SHOW = ["sh", "-c", 'echo "$TRACEPARENT"']


@pytest.fixture(name="exported")
def exported_fixture() -> Iterator[InMemorySpanExporter]:
    """What is exported while runs are spans."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(provider)
    yield exporter
    uninstrument()
    provider.shutdown()


def one_span(exported: InMemorySpanExporter) -> ReadableSpan:
    """Return the one span, once it is exported."""
    wait_until(exported.get_finished_spans, timeout=LONG, what="the span")
    (span,) = exported.get_finished_spans()
    return span


def test_command(store: Store, exported: InMemorySpanExporter):
    """The span of a command is the parent of what the command does, and has the times of the run."""
    run = store.start(SHOW, name="show", env={"SECRET": "hunter2"})
    run.wait()
    span = one_span(exported)
    context, inside = span.get_span_context(), parse(run.output().strip())

    assert inside is not None
    assert inside.trace_id == run.trace_id == format_trace_id(context.trace_id)
    assert inside.span_id == format_span_id(context.span_id)
    assert (inside.flags & 1, span.parent, span.name) == (1, None, "show")
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "runcast.run.name": "show",
        "runcast.run.id": run.id,
        "runcast.run.outcome": "exited",
        "runcast.run.source": "command",
        "process.exit.code": 0,
    }
    assert span.end_time == int(run.outcome.ended_at * 1e9)
    assert [event.name for event in span.events] == ["started"]
    assert "hunter2" not in span.to_json()


def test_failure(store: Store, exported: InMemorySpanExporter):
    """A run that fails is an error, with its code and without its arguments."""
    store.start(["sh", "-c", "echo s3cret-argument >&2; exit 3"]).wait()
    span = one_span(exported)

    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "exit code 3"
    assert span.attributes["error.type"] == "exit code 3"
    assert "s3cret" not in span.to_json()


def test_parent(store: Store, exported: InMemorySpanExporter):
    """The current span is the parent; without one, the context that the run is given."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("request") as above:
        store.start(SHOW, env={"TRACEPARENT": f"00-{'1' * 32}-{'2' * 16}-01"}).wait()
    assert one_span(exported).parent == above.get_span_context()
    exported.clear()

    store.start(SHOW, env={"TRACEPARENT": f"00-{'1' * 32}-{'2' * 16}-01", "TRACESTATE": "a=1"}).wait()
    span = one_span(exported)
    assert format_trace_id(span.parent.trace_id) == "1" * 32
    assert format_span_id(span.parent.span_id) == "2" * 16
    assert span.get_span_context().trace_state.to_header() == "a=1"


def test_in_this_process(store: Store, exported: InMemorySpanExporter):
    """A function here, and a block, are spans, too."""
    with attach("nightly", store=store) as run:
        pass
    span = one_span(exported)

    assert (span.name, format_trace_id(span.get_span_context().trace_id)) == ("nightly", run.trace_id)


def test_no_run(store: Store, exported: InMemorySpanExporter):
    """A start that comes to nothing is an error at once; one that is refused was never begun."""
    with pytest.raises(RuncastError):
        store.start(["true"], cap="nonsense")
    assert exported.get_finished_spans() == ()

    store.start(["/does/not/exist"]).wait()
    assert one_span(exported).attributes["error.type"] == "failed to start"


def test_removed(store: Store, exported: InMemorySpanExporter):
    """A run that is removed before its end was seen ends its span."""
    run = store.start(["true"])
    run.wait()
    store.remove(run)

    assert one_span(exported).attributes["runcast.run.outcome"] in ("removed", "exited")


def test_not_sampled(store: Store):
    """A trace that is not sampled is handed on as such."""
    instrument(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    try:
        run = store.start(SHOW)
        run.wait()
    finally:
        uninstrument()
    inside = parse(run.output().strip())

    assert inside is not None
    assert (inside.trace_id, inside.flags & 1) == (run.trace_id, 0)


def test_end_of_the_process(store: Store):
    """A process that waits for its run and ends at once has sent the span."""
    code = """
import sys
import urllib.request
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from runcast import Store, otel
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
otel.instrument(provider)
Store(sys.argv[1]).start(["true"]).wait()
"""
    command = [sys.executable, "-c", code, store.path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LONG)

    assert json.loads(done.stdout)["name"] == "true"


def test_server_with_a_provider(store: Store):
    """`runcast serve` in a process that has a provider, as under OpenTelemetry's launcher, sends spans."""
    code = """
import sys
import urllib.request
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from runcast.cli import main
trace.set_tracer_provider(TracerProvider())
exporter = ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\\n")
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
main(["serve", "--no-auth", "--port", "0", "--allow-any-command"])
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        url = serving.stdout.readline().strip()
        request = urllib.request.Request(
            f"{url}runs",
            json.dumps({"command": ["true"]}).encode(),
            {"Content-Type": "application/json", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"},
        )
        urllib.request.urlopen(request, timeout=LONG).close()
        next(store.list()).wait(timeout=LONG)
        serving.terminate()  # before the thread that looks at runs may have done so
        printed = serving.communicate(timeout=LONG)[0]

    (span,) = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert (span["name"], span["parent_id"]) == ("true", f"0x{'2' * 16}")
    assert span["context"]["trace_id"] == f"0x{'1' * 32}"
