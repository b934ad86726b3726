"""Trace contexts: what of two headers is valid, by the W3C's recommendation, and what a run makes of them."""

import pytest

from runcast.trace_context import RunTrace, TraceContext, answering, current, parse, set_spans, trace_id_in

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_valid():
    """A header is taken apart and put together again."""
    assert parse(PARENT, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE") == TraceContext(
        TRACE, SPAN, 1, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    )
    assert TraceContext(TRACE, SPAN, 1).traceparent == PARENT
    assert parse(f" {PARENT}\t") == TraceContext(TRACE, SPAN, 1)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        PARENT[:-1],
        f"{PARENT}-",
        f"{PARENT}-more",
        f"{PARENT},{PARENT}",
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"0x-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"00{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{chr(0xFF11) * 16}-01",
    ],
)
def test_invalid(header: str):
    """A header that is not valid is none at all."""
    assert parse(header, "a=1") is None


def test_later_version():
    """Of a later version that is read which version 00 has; flags without a meaning are not handed on."""
    assert parse(f"cc-{TRACE}-{SPAN}-01") == TraceContext(TRACE, SPAN, 1)
    assert parse(f"cc-{TRACE}-{SPAN}-ff-what-the-future-has") == TraceContext(TRACE, SPAN, 3)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1 , b@c=x/y:z ,", "a=1,b@c=x/y:z"),
        ("0tenant@system=v", "0tenant@system=v"),
        ("A=1", ""),
        ("a", ""),
        ("a=", ""),
        ("=1", ""),
        ("a=1,b=c=d", ""),
        ("a=\x01", ""),
        ("a=é", ""),
        (",".join(f"k{number}=v" for number in range(32)), ",".join(f"k{n}=v" for n in range(32))),
        (",".join(f"k{number}=v" for number in range(33)), ""),
        (f"a={'x' * 511}", ""),
    ],
)
def test_state(state: str, kept: str):
    """A state is handed on whole, or dropped where it is not valid; the trace goes on without it."""
    assert parse(PARENT, state) == TraceContext(TRACE, SPAN, 1, kept)


def test_run_is_a_child():
    """A run has the trace, flags and state of its start, and an id of its own for its command."""
    env = {"TRACEPARENT": PARENT, "TRACESTATE": "a=1"}
    one, other = RunTrace("build", env), RunTrace("build", env)

    assert one.context is not None
    assert other.context is not None
    assert one.context[:1] + one.context[2:] == (TRACE, 1, "a=1")
    assert len({SPAN, one.context.span_id, other.context.span_id}) == 3
    one.set_variables(env)
    assert env == {"TRACEPARENT": one.context.traceparent, "TRACESTATE": "a=1"}
    assert trace_id_in({"trace": one.context.to_json()}) == TRACE


@pytest.mark.parametrize("trace", [None, "x", {}, {"id": 5}, {"id": TRACE.upper()}])
def test_damaged_record(trace: object):
    """A record without a valid trace has none."""
    assert trace_id_in({"trace": trace}) is None


def test_no_trace(monkeypatch: pytest.MonkeyPatch):
    """Without a valid context a run has none, and its command gets nothing of another's."""
    monkeypatch.setenv("TRACEPARENT", "nonsense")
    trace, env = RunTrace("build", None), {"TRACEPARENT": "nonsense", "TRACESTATE": "a=1", "HOME": "/"}
    trace.set_variables(env)

    assert trace.context is None
    assert env == {"HOME": "/"}


def test_order(monkeypatch: pytest.MonkeyPatch):
    """The run's own variables come first, then the request that is answered, then this process."""
    first, second, third = (f"00-{TRACE}-{digit * 16}-00" for digit in "123")
    monkeypatch.setenv("TRACEPARENT", third)
    spans = []

    class Noted:
        context = None

        def __init__(self, name: str, starter: TraceContext | None) -> None:
            spans.append((name, starter and starter.span_id[0]))

    set_spans(Noted)
    try:
        RunTrace("own", {"TRACEPARENT": first})
        with answering({"traceparent": second}.get):
            RunTrace("own", {"TRACEPARENT": first})
            RunTrace("request", None)
        with answering({}.get):
            RunTrace("none", None)
        RunTrace("process", {"HOME": "/"})
    finally:
        set_spans(None)

    assert spans == [("own", "1"), ("own", "1"), ("request", "2"), ("none", None), ("process", "3")]
    assert current() == parse(third)
