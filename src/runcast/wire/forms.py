"""The registry of the forms in which a log is served, with one entry for each.

Content negotiation, headers, encoders, the sharing of encoded bytes, the labels of the metrics, the
OpenAPI description and the tables of the reference read it. A new form is a class, its encoder, and
an entry here; `scripts/wire_forms.py` then updates the description and the tables. It must not know
how a request arrives or how a reply is sent.

The order matters: of two forms that a client accepts equally, it gets the first. So of two forms with
one media type, `Accept` selects the first, and `?format=` with its name the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from runcast.wire.asciicast import Asciicast, AsciicastV3
from runcast.wire.asciicast_live import AsciicastEvents, AsciicastMessages
from runcast.wire.chunk_events import ChunkEvents
from runcast.wire.encoder import Encoder
from runcast.wire.json_lines import JsonLines, Messages
from runcast.wire.lines import LineEvents
from runcast.wire.resume_point import START, ResumePoint
from runcast.wire.text import Text

__all__ = [
    "ASCIICAST",
    "ASCIICAST_EVENTS",
    "ASCIICAST_V3",
    "FORMS",
    "HTML",
    "NDJSON",
    "POLL",
    "SSE",
    "SSE_JSON",
    "TEXT",
    "WS",
    "WS_ASCIICAST",
    "Form",
    "add",
]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Form:
    """One form in which a log is served.

    Attributes:
        name: its name in `?format=`.
        media_type: its type in `Accept` and `Content-Type`, in lower case; "" where the protocol
            selects the form, not HTTP headers (WebSocket).
        summary: its line in the tables of the reference, in Markdown; a link begins with `#`.
        live: whether it has live viewers, which the metrics count under its name.
        encoder: makes an encoder from the id of a run, the resume point and the settings; None
            where the form is a single reply, not a stream.
        settings: the encoder's keyword arguments, of those that `pick` lists. Viewers of one run
            with equal settings share the encoded bytes.
        charset: the charset in `Content-Type`.
        aliases: further names in `?format=`. The media type always is one.
        instead_of: the name of another form. `?format=` with that name selects this form for a
            client whose `Accept` names this media type; `Accept` alone never does.
        subprotocol: of a WebSocket (RFC 6455, section 1.9): a client that offers it gets this form.
        verbatim: it contains the bytes of the log and nothing else. Then GET and HEAD of a closed
            log have `Content-Length` and `ETag` (RFC 9110, sections 8.6 and 8.8.3), a `Range` is
            served, and no keep-alive is mixed in.
        partial: it supports `?partial=1`: unfinished lines are sent, too.
        schema: the OpenAPI schema of a reply; empty where OpenAPI cannot describe it, as for events.
    """

    name: str
    media_type: str
    summary: str
    live: bool = True
    encoder: Callable[..., Encoder] | None = None
    settings: tuple[str, ...] = ()
    charset: str = ""
    aliases: tuple[str, ...] = ()
    instead_of: str = ""
    subprotocol: str = ""
    verbatim: bool = False
    partial: bool = False
    schema: Mapping[str, str] = field(default_factory=lambda: {"type": "string"})

    def __str__(self) -> str:
        return self.name

    @property
    def content_type(self) -> str:
        """The value of `Content-Type`."""
        return f"{self.media_type}; charset={self.charset}" if self.charset else self.media_type

    def pick(
        self,
        *,
        named: bool = False,
        end: bool = False,
        began: float = 0.0,
        terminal: bool = False,
        idle_time_limit: float | None = None,
    ) -> dict[str, bool | float | None]:
        """Return the settings that this form uses.

        Args:
            named: events of stderr and data get names of their own.
            end: the outcome is a last line.
            began: the time that is zero in a recording, in seconds since the epoch.
            terminal: the run has a terminal of its own.
            idle_time_limit: to how many seconds players shorten a longer silence.
        """
        given = {
            "named": named,
            "end": end,
            "began": began,
            "terminal": terminal,
            "idle_time_limit": idle_time_limit,
        }
        return {name: given[name] for name in self.settings}

    def encode(self, run: str, start: ResumePoint = START, **settings: bool | float | None) -> Encoder:
        """Return a new encoder for the log of a run.

        Raises:
            ValueError: the form is a single reply, and has no encoder.
        """
        if self.encoder is None:
            raise ValueError(f"expected a streaming form, {self} is a single reply")
        return self.encoder(run, start, **settings)


FORMS: Final[dict[str, Form]] = {}
_OF_RECORDINGS = ("began", "terminal", "idle_time_limit")


def add(form: Form) -> Form:
    """Register a form, and return it.

    Raises:
        ValueError: a form of that name is registered.
    """
    if FORMS.setdefault(form.name, form) is not form:
        raise ValueError(f"expected a form with a new name, {form} is registered already")
    return form


TEXT: Final = add(
    Form(
        name="text",
        media_type="text/plain",
        charset="utf-8",
        summary="[plain text](#plain-text): the bytes as they are",
        encoder=Text,
        settings=("end",),
        verbatim=True,
    )
)
HTML: Final = add(
    Form(
        name="html",
        media_type="text/html",
        charset="utf-8",
        summary="the live page",
        live=False,
    )
)
SSE: Final = add(
    Form(
        name="sse",
        media_type="text/event-stream",
        summary="[events, one a line](#events-one-a-line): for `EventSource` with `onmessage`",
        encoder=LineEvents,
        settings=("named",),
        partial=True,
        schema={},
    )
)
SSE_JSON: Final = add(
    Form(
        name="sse-json",
        media_type="text/event-stream",
        instead_of="json",
        summary="[events of JSON chunks](#events-of-json-chunks): channel, time, speed",
        encoder=ChunkEvents,
        schema={},
    )
)
POLL: Final = add(
    Form(
        name="json",
        media_type="application/json",
        summary="[one reply to a poll](#polls): what there is, or what comes within `wait` seconds",
        schema={"$ref": "#/components/schemas/Poll"},
    )
)
NDJSON: Final = add(
    Form(
        name="ndjson",
        media_type="application/x-ndjson",
        aliases=("application/ndjson",),
        summary="[NDJSON](#ndjson): one JSON chunk a line",
        encoder=JsonLines,
    )
)
ASCIICAST: Final = add(
    Form(
        name="asciicast",
        media_type="application/x-asciicast",
        summary="[a recording](#asciicast) with its timing, for asciinema and its players",
        encoder=Asciicast,
        settings=_OF_RECORDINGS,
    )
)
ASCIICAST_EVENTS: Final = add(
    Form(
        name="sse-asciicast",
        media_type="text/event-stream",
        instead_of="asciicast",
        summary="[the recording, live](#asciicast-live): for the `eventsource` driver of asciinema-player",
        encoder=AsciicastEvents,
        settings=_OF_RECORDINGS,
        schema={},
    )
)
ASCIICAST_V3: Final = add(
    Form(
        name="asciicast-v3",
        media_type="application/x-asciicast",
        summary="[the recording in version 3](#asciicast): intervals for times, and the exit status",
        encoder=AsciicastV3,
        settings=_OF_RECORDINGS,
    )
)
WS: Final = add(
    Form(
        name="websocket",
        media_type="",
        summary="[messages](#websocket), in both directions",
        encoder=Messages,
    )
)
WS_ASCIICAST: Final = add(
    Form(
        name="websocket-asciicast",
        media_type="",
        subprotocol="v2.asciicast",
        summary="[the recording, live](#asciicast-live): for asciinema-player",
        encoder=AsciicastMessages,
        settings=_OF_RECORDINGS,
    )
)
