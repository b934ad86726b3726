"""The reference page says what the code does."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from runcast.errors import OffsetGone
from runcast.model import Channel, Chunk, Outcome, Reading, Reason, State
from runcast.wire import Encoder, Format, Query, encoder, headers, poll_reply, problem
from runcast.wire.asks import parse_ask
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
OUTCOME = Outcome(Reason.EXITED, 0, ended_at=TIME + 3)


EXAMPLE_FORMS = [Format.TEXT, Format.SSE, Format.SSE_JSON, Format.NDJSON, Format.ASCIICAST]


def say_all(made: Encoder) -> list[bytes]:
    """Return what an encoder says of the example's run: hello, output, progress, exit."""
    return [
        made.hello(STATUS),
        made.feed(READING),
        made.tell("progress", PROGRESS),
        made.exit(State.EXITED, OUTCOME),
    ]


@pytest.mark.parametrize("form", EXAMPLE_FORMS)
def test_examples(form: Format):
    """Each form's example is what its encoder says."""
    hello, output, progress, exit_ = say_all(encoder(form, RUN, end=True, began=TIME - 0.25))
    expected = {
        Format.SSE_JSON: output.rstrip(b"\n") + b"\n",
        Format.NDJSON: hello + output + progress,
        Format.SSE: (hello + output + progress + exit_).removesuffix(b"\n"),
        Format.TEXT: output + exit_,
        Format.ASCIICAST: hello + output + exit_,
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


@pytest.mark.parametrize("form", list(Format))
def test_every_header(form: Format):
    """Each form's name and each header with its value is on the page."""
    for live in (True, False):
        for name, value in headers(form, live=live):
            assert f"| `{name}` |" in PAGE
            assert f"`{value}`" in PAGE or f": `{value}`" in PAGE
    assert form is Format.WS or f"`{form}`" in PAGE


@pytest.mark.parametrize("channel", list(Channel))
def test_every_channel(channel: Channel):
    """Each channel is on the page."""
    assert f"`{channel}`" in PAGE


def test_every_ask():
    """Each message that the page shows is understood."""
    table = PAGE.partition("| Message | does |")[2].partition("\n## ")[0]
    shown = re.findall(r'`(\{".*?\})`', table)

    assert len(shown) == 7
    assert all(parse_ask(message) for message in shown)
