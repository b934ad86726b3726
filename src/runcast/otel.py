"""Spans of runs for OpenTelemetry: one for each run that this process starts. Needs `runcast[otel]`.

Owns what such a span says. It begins before the run, whose command gets it as `TRACEPARENT`, and ends with
the run, at the times that the run has. Nothing loads this by itself, but `runcast serve` where a tracer
provider is set up. It must not say what may be secret: arguments, variables, output and messages stay out.
"""

from __future__ import annotations

import atexit
import sys
import threading

from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from runcast._version import __version__
from runcast.errors import RuncastError, RunNotFound
from runcast.model import Outcome, Reason
from runcast.run import Run
from runcast.sources.supervised import look_after_run
from runcast.sysio.forks import at_fork
from runcast.trace_context import TraceContext, set_spans

__all__ = ["instrument", "instrument_if_set_up", "uninstrument"]

_LOOK_EVERY = 1.0
_ending = threading.Lock()
_open: set[_RunSpan] = set()


def instrument(tracer_provider: trace.TracerProvider | None = None) -> None:
    """Have each run that this process starts be a span, from now on. A second call changes the provider.

    The parent of a span is the current one where there is one, else the `traceparent` of the request that
    starts the run, or the `TRACEPARENT` of this process. A span is sent when its run is over; if this process
    ends before, it is not.

    Args:
        tracer_provider: makes the spans; by default the global one.
    """
    tracer = trace.get_tracer("runcast", __version__, tracer_provider)
    atexit.unregister(_finish)
    atexit.register(_finish)  # so that it comes before the provider's own, which sends what there is
    set_spans(lambda name, starter: _RunSpan(tracer, name, starter))


def uninstrument() -> None:
    """Have later runs be no spans. Those of runs that go on end with them all the same."""
    set_spans(None)


def instrument_if_set_up() -> bool:
    """Do so where a tracer provider is set up in this process, as by `opentelemetry-instrument`."""
    sdk = sys.modules.get("opentelemetry.sdk.trace")
    if sdk is None or not isinstance(trace.get_tracer_provider(), sdk.TracerProvider):
        return False
    instrument()
    return True


class _RunSpan:
    """The span of one run."""

    def __init__(self, tracer: trace.Tracer, name: str, starter: TraceContext | None) -> None:
        above = trace.get_current_span()
        context = None
        if not above.get_span_context().is_valid and starter is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(_span_context(starter)))
        self._span: Span = tracer.start_span(
            name, context, SpanKind.INTERNAL, {"runcast.run.name": name}, record_exception=False
        )
        self._run: Run | None = None

    @property
    def context(self) -> TraceContext | None:
        """What the run's command gets; None where nothing is traced and there is no trace to hand on."""
        found = self._span.get_span_context()
        if not found.is_valid:
            return None
        return TraceContext(
            trace.format_trace_id(found.trace_id),
            trace.format_span_id(found.span_id),
            int(found.trace_flags),
            found.trace_state.to_header(),
        )

    def started(self, path: str) -> None:
        """Have it end with the run in a folder."""
        self._run = Run(path)
        self._span.set_attribute("runcast.run.id", self._run.id)
        _open.add(self)
        look_after_run(self)

    def failed(self, error: BaseException) -> None:
        """End it: there is no run."""
        self._span.set_attribute("error.type", type(error).__qualname__)
        self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def look(self) -> float | None:
        """End it, if the run is over; return after how many seconds to look again, None for never."""
        with _ending:
            if self not in _open or self._run is None:
                return None
            try:
                outcome = self._run.outcome if self._run.state in ("exited", "lost") else None
            except RunNotFound:
                self._span.set_attribute("runcast.run.outcome", "removed")
                self._span.end()
            except (OSError, RuncastError):
                return _LOOK_EVERY
            else:
                if outcome is None:
                    return _LOOK_EVERY
                self._end(self._run, outcome)
            _open.discard(self)
            return None

    def _end(self, run: Run, outcome: Outcome) -> None:
        self._span.set_attribute("runcast.run.outcome", outcome.reason.value)
        self._span.set_attribute("runcast.run.source", str(run.request["source"]))
        if (queue := run.queue) is not None:
            self._span.set_attribute("runcast.run.queue", queue)
        if outcome.code is not None:
            self._span.set_attribute("process.exit.code", outcome.code)
        if outcome.started_at:
            self._span.add_event("started", timestamp=_nanoseconds(outcome.started_at))
        if not outcome.ok:
            reason = outcome.reason
            error = f"exit code {outcome.code}" if reason is Reason.EXITED else reason.value
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end(_nanoseconds(outcome.ended_at) if outcome.ended_at else None)


def _span_context(one: TraceContext) -> SpanContext:
    return SpanContext(
        int(one.trace_id, 16),
        int(one.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(one.flags),
        trace_state=TraceState.from_header([one.state]) if one.state else None,
    )


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _finish() -> None:
    """End the spans of runs that are over: the thread that does so looks now and then only."""
    for span in tuple(_open):
        span.look()


def _forget() -> None:
    """Drop what is the parent's, in a forked child, which sends no spans of its runs."""
    global _ending
    _open.clear()
    _ending = threading.Lock()


at_fork(_forget)
