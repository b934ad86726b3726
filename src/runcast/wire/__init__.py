"""The wire: how a log, a run and an error are said in bytes. Pure functions, no I/O.

Knows the values of `model` and nothing else of ours: no log, no process, no server.
"""

from runcast.wire.asciicast import Asciicast
from runcast.wire.asks import Ask, Resize, Signal, Stdin, Stop, parse_ask, parse_signal, parse_stop
from runcast.wire.chunk_events import ChunkEvents
from runcast.wire.encoder import Encoder
from runcast.wire.formats import Format, headers, negotiate
from runcast.wire.json_lines import JsonLines, Messages, messages
from runcast.wire.jsons import outcome_json, rfc3339
from runcast.wire.lines import LineEvents
from runcast.wire.place import START, EventId, Place, event_id, parse_event_id
from runcast.wire.poll import POLL_BYTES, poll_reply, settle
from runcast.wire.problem import PROBLEM_TYPE, problem
from runcast.wire.query import Query, parse_since
from runcast.wire.text import Text

__all__ = [
    "POLL_BYTES",
    "PROBLEM_TYPE",
    "START",
    "Asciicast",
    "Ask",
    "ChunkEvents",
    "Encoder",
    "EventId",
    "Format",
    "JsonLines",
    "LineEvents",
    "Messages",
    "Place",
    "Query",
    "Resize",
    "Signal",
    "Stdin",
    "Stop",
    "Text",
    "encoder",
    "event_id",
    "headers",
    "messages",
    "negotiate",
    "outcome_json",
    "parse_ask",
    "parse_event_id",
    "parse_signal",
    "parse_since",
    "parse_stop",
    "poll_reply",
    "problem",
    "rfc3339",
    "settle",
]


def encoder(
    format: Format,
    run: str,
    place: Place = START,
    *,
    named: bool = False,
    end: bool = False,
    began: float = 0.0,
    terminal: bool = False,
) -> Encoder:
    """Return a new encoder for a form that goes on and on.

    Args:
        format: TEXT, SSE, SSE_JSON, NDJSON, WS or ASCIICAST.
        run: the id of the run.
        place: where to begin.
        named: events of stderr and data get names of their own (SSE).
        end: the outcome is a last line (TEXT).
        began: when the run began, in seconds since the epoch (ASCIICAST).
        terminal: the run has a terminal of its own (ASCIICAST).
    """
    match format:
        case Format.TEXT:
            return Text(run, place, end=end)
        case Format.SSE:
            return LineEvents(run, place, named=named)
        case Format.SSE_JSON:
            return ChunkEvents(run, place)
        case Format.NDJSON:
            return JsonLines(run, place)
        case Format.WS:
            return Messages(run, place)
        case Format.ASCIICAST:
            return Asciicast(run, place, began=began, terminal=terminal)
        case _:
            raise ValueError(f"expected a form that goes on and on, {format} is one reply")
