"""The reference page says what the code does."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from runcast.errors import OffsetGone
from runcast.model import Channel, Chunk, Outcome, Reading, Reason, State
from runcast.wire import Encoder, Query, headers, poll_reply, problem
from runcast.wire.client_messages import parse_client_message
from runcast.wire.forms import ASCIICAST, ASCIICAST_EVENTS, FORMS, NDJSON, SSE, SSE_JSON, TEXT, Form
from tests.unit.wire.logs import DATA, ERR, OUT, RUN

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "wire.md").read_text(encoding="utf-8")
EXAMPLES = [text.encode() for text in re.findall(r"```(?:text|json)\n(.*?)```", PAGE, re.DOTALL)]
HEADINGS = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)

TIME = datetime.fromisoformat("2026-11-21T08:30:00.25+00:00").timestamp()
READING = Reading(
    [
        Chunk(0, 10, OUT, TIME, b"compiling\n"),
        Chunk(10, 23, ERR, TIME + 1, b"warning: old\n"),
        Chunk(23, 34, DATA, TIME + 2, b'{"done":1}\n'),
    ],
    34,
)
STATUS = {"id": RUN, "name": "make", "state": "running"}
PROGRESS = {"done": 1, "total": 4, "text": "linking"}
OUTCOME = Outcome(Reason.EXITED, 0, ended_at=TIME + 3, started_at=TIME - 0.2)


EXAMPLE_FORMS = [TEXT, SSE, SSE_JSON, NDJSON, ASCIICAST, ASCIICAST_EVENTS]


def say_all(made: Encoder) -> list[bytes]:
    """Return what an encoder says of the example's run: hello, output, progress, exit."""
    return [
        made.preamble(STATUS),
        made.feed(READING),
        made.update("progress", PROGRESS),
        made.exit(State.EXITED, OUTCOME),
    ]


@pytest.mark.parametrize("form", EXAMPLE_FORMS, ids=str)
def test_examples(form: Form):
    """Each form's example is what its encoder says."""
    hello, output, progress, exit_ = say_all(form.encode(RUN, **form.pick(end=True, began=TIME - 0.25)))
    expected = {
        SSE_JSON: output.rstrip(b"\n") + b"\n",
        NDJSON: hello + output + progress,
        SSE: (hello + output + progress + exit_).removesuffix(b"\n"),
        TEXT: output + exit_,
        ASCIICAST: hello + output + exit_,
        ASCIICAST_EVENTS: (hello + output + exit_).removesuffix(b"\n"),
    }

    assert expected[form] in EXAMPLES


def test_other_examples():
    """So are the examples of a poll's reply and of an error."""
    reading = Reading(READING.chunks[2:], 34)
    reply = poll_reply(
        reading,
        23,
        state=State.RUNNING,
        outcome=None,
        progress=PROGRESS,
        closed=False,
        line=3,
        lines=3,
        count=3,
        next_url="/runs/ID/log?format=json&offset=00000000000000000034",
    )

    assert reply + b"\n" in EXAMPLES
    assert problem(OffsetGone(100, 4096))[1] + b"\n" in EXAMPLES


def test_every_parameter():
    """Each parameter has a heading."""
    names = {"channel" if name == "channels" else name for name in Query.__dataclass_fields__}

    assert names <= set(HEADINGS)


def test_every_event():
    """Each event has a heading."""
    assert {"run", "progress", "state", "gap", "exit", "restart", "remark", "stderr", "data"} <= set(HEADINGS)


@pytest.mark.parametrize("form", FORMS.values(), ids=str)
def test_every_header(form: Form):
    """Each form's name and each header with its value is on the page."""
    for live in (True, False):
        for name, value in headers(form, live=live):
            assert f"| `{name}` |" in PAGE
            assert f"`{value}`" in PAGE or f": `{value}`" in PAGE
    assert not form.media_type or f"`{form}`" in PAGE


@pytest.mark.parametrize("channel", list(Channel))
def test_every_channel(channel: Channel):
    """Each channel is on the page."""
    assert f"`{channel}`" in PAGE


def test_every_ask():
    """Each message that the page shows is understood."""
    table = PAGE.partition("| Message | does |")[2].partition("\n## ")[0]
    shown = re.findall(r'`(\{".*?\})`', table)

    assert len(shown) == 7
    assert all(parse_client_message(message) for message in shown)
