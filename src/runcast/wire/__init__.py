"""The wire: how logs, runs and errors are encoded as bytes. Pure functions, no I/O.

Knows the values of `model` and nothing else of runcast: no log, no process, no server.
"""

from runcast.wire.client_messages import (
    ClientMessage,
    Resize,
    Signal,
    Stdin,
    Stop,
    parse_client_message,
    parse_note,
    parse_resize,
    parse_signal,
    parse_stop,
)
from runcast.wire.encoder import Encoder
from runcast.wire.forms import FORMS, HTML, POLL, TEXT, WS, Form
from runcast.wire.json_lines import JsonLines, messages
from runcast.wire.jsons import outcome_json, rfc3339
from runcast.wire.negotiation import headers, negotiate, negotiate_subprotocol
from runcast.wire.poll import POLL_BYTES, poll_reply, sendable
from runcast.wire.problem import PROBLEM_TYPE, hides, problem
from runcast.wire.query import Query, parse_since
from runcast.wire.resume_point import START, EventId, ResumePoint, event_id, parse_event_id

__all__ = [
    "FORMS",
    "HTML",
    "POLL",
    "POLL_BYTES",
    "PROBLEM_TYPE",
    "START",
    "TEXT",
    "WS",
    "ClientMessage",
    "Encoder",
    "EventId",
    "Form",
    "JsonLines",
    "Query",
    "Resize",
    "ResumePoint",
    "Signal",
    "Stdin",
    "Stop",
    "event_id",
    "headers",
    "hides",
    "messages",
    "negotiate",
    "negotiate_subprotocol",
    "outcome_json",
    "parse_client_message",
    "parse_event_id",
    "parse_note",
    "parse_resize",
    "parse_signal",
    "parse_since",
    "parse_stop",
    "poll_reply",
    "problem",
    "rfc3339",
    "sendable",
]
