"""Trace contexts: which trace a run belongs to, as the W3C's recommendation writes it.

Owns `traceparent` and `tracestate` (https://www.w3.org/TR/trace-context/), as headers and as the variables
`TRACEPARENT` and `TRACESTATE`. A run is one step of a trace: a child of whatever started it, and the parent
of what its command does. Must not know who sends spans; see `otel.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

__all__ = [
    *("RunSpan", "RunTrace", "TraceContext", "answering", "current", "parse", "set_spans", "trace_id_in"),
    "without_trace",
]

TRACEPARENT, TRACESTATE = "TRACEPARENT", "TRACESTATE"
_FLAGS = 0x03  # sampled, and a random trace id; others have no meaning yet, and are not passed on
_HEX = frozenset("0123456789abcdef")
_STATE_CHARACTERS, _STATE_MEMBERS = 512, 32


class TraceContext(NamedTuple):
    """One step of a trace.

    Attributes:
        trace_id: of the whole trace, 32 hexadecimal digits.
        span_id: of this step, 16 hexadecimal digits.
        flags: 1 where it is sampled.
        state: what vendors of tracing systems hand on; may be empty.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @property
    def traceparent(self) -> str:
        """It as a header, without its state."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self) -> TraceContext:
        """Return a step below this one, with a new id."""
        return self._replace(span_id=_new_span_id())

    def variables(self) -> dict[str, str]:
        """Return it as variables for a command."""
        return {TRACEPARENT: self.traceparent} | ({TRACESTATE: self.state} if self.state else {})

    def to_json(self) -> dict[str, Any]:
        """Return what `run.json` has of it."""
        return {"id": self.trace_id, "span": self.span_id, "sampled": bool(self.flags & 1)}


def _new_span_id() -> str:
    while not int(found := os.urandom(8).hex(), 16):
        pass  # all zeros mean none
    return found


def parse(traceparent: str, tracestate: str = "") -> TraceContext | None:
    """Return the context that two headers have; None where the first is not valid.

    Of a later version of the format what version 00 has is read, as the recommendation wants it. A state
    that is not valid is dropped.
    """
    text = traceparent.strip(" \t")
    version, trace_id, span_id, flags = f"{text}---".split("-")[:4]
    if not (_is_hex(version, 2) and _is_hex(trace_id, 32) and _is_hex(span_id, 16) and _is_hex(flags, 2)):
        return None
    beyond = text[55:]
    if version == "ff" or (beyond and (version == "00" or not beyond.startswith("-"))):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & _FLAGS, _valid_state(tracestate))


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and _HEX.issuperset(text)


def _valid_state(text: str) -> str:
    """Return a `tracestate` that may be handed on; empty where it is not valid."""
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    if len(members) > _STATE_MEMBERS or not all(map(_is_member, members)):
        return ""
    whole = ",".join(members)
    return whole if len(whole) <= _STATE_CHARACTERS else ""


def _is_member(text: str) -> bool:
    key, equals, value = text.partition("=")
    good_key = key[:1].isalnum() and all(one.isalnum() or one in "_-*/@" for one in key)
    good_value = bool(value) and all(" " <= one <= "~" and one not in ",=" for one in value)
    return bool(equals) and text.isascii() and key == key.lower() and good_key and good_value


def trace_id_in(request: Mapping[str, Any]) -> str | None:
    """Return the id of the trace in the request of a run; None where it has none, or none that is valid."""
    trace = request.get("trace")
    found = trace.get("id") if isinstance(trace, dict) else None
    return found if isinstance(found, str) and _is_hex(found, 32) else None


_request: ContextVar[TraceContext | None] = ContextVar("runcast trace of a request")


@contextmanager
def answering(header: Callable[[str], str | None]) -> Iterator[None]:
    """Have runs that are started meanwhile belong to the trace of a request, or to none where it has none.

    Args:
        header: returns a header of the request, by its lower-case name.
    """
    token = _request.set(parse(header("traceparent") or "", header("tracestate") or ""))
    try:
        yield
    finally:
        _request.reset(token)


def current() -> TraceContext | None:
    """Return the context of the request that is being answered; elsewhere that of this process."""
    try:
        return _request.get()
    except LookupError:
        return parse(os.environ.get(TRACEPARENT, ""), os.environ.get(TRACESTATE, ""))


def without_trace(env: Mapping[str, str] | None) -> dict[str, str]:
    """Return variables without a context: a repetition has that of its own start."""
    return {name: value for name, value in (env or {}).items() if name not in (TRACEPARENT, TRACESTATE)}


class RunSpan(Protocol):
    """The span of a run, which somebody sends when the run is over."""

    @property
    def context(self) -> TraceContext | None:
        """What the run's command gets."""

    def started(self, path: str) -> None:
        """Have it end with the run in a folder."""

    def failed(self, error: BaseException) -> None:
        """End it: there is no run."""


_spans: Callable[[str, TraceContext | None], RunSpan] | None = None


def set_spans(begin: Callable[[str, TraceContext | None], RunSpan] | None) -> None:
    """Have each run that this process starts begin a span.

    Args:
        begin: called with the name of a run and the context that starts it; None for no more spans.
    """
    global _spans
    _spans = begin


class RunTrace:
    """The place of one run in a trace, from before its start on.

    Args:
        name: of the run.
        env: the variables that it is given.

    Attributes:
        context: of the run; None where it is in no trace.
    """

    def __init__(self, name: str, env: Mapping[str, str] | None) -> None:
        given = env or {}
        if TRACEPARENT in given:
            starter = parse(str(given[TRACEPARENT]), str(given.get(TRACESTATE, "")))
        else:
            starter = current()
        self._span = None if _spans is None else _spans(name, starter)
        self.context = (starter and starter.child()) if self._span is None else self._span.context

    def set_variables(self, env: dict[str, str]) -> None:
        """Put it into the environment of a command, in place of what is there of another step."""
        for name in (TRACEPARENT, TRACESTATE):
            env.pop(name, None)
        if self.context is not None:
            env |= self.context.variables()

    def started(self, path: str) -> None:
        """Note that the run is there."""
        if self._span is not None:
            self._span.started(path)

    def failed(self, error: BaseException) -> None:
        """Note that there is no run."""
        if self._span is not None:
            self._span.failed(error)
