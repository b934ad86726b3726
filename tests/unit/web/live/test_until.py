"""`?until=`: each form ends with the same line, wherever a reply begins and however the log came."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast import Run, Store
from runcast.errors import UsageError
from runcast.model import Channel
from runcast.web.api.log_reply import log_reply, log_view
from runcast.web.http.messages import Reply, Request
from runcast.web.live.log_stream import LogStream
from runcast.web.live.pull import pull
from runcast.wire import FORMS, TEXT, Form, Query
from tests.unit.runs import ERR, OUT, make_run
from tests.unit.wire.eventsource import Event, EventSource
from tests.unit.wire.logs import PROPERTY

Appends = list[tuple[Channel, bytes]]
APPENDS = st.lists(
    st.tuples(
        st.sampled_from([OUT, ERR]),
        st.lists(st.sampled_from([b"a", b"b", b"ab", b"\n", b"\r\n", b"\xc3\xa9", b"\xc3"]), min_size=1).map(
            b"".join
        ),
    ),
    max_size=10,
)
OUTCOMES = (b'"exit code', b"event: exit", b'"event":"exit"')
STREAMED = [form for form in FORMS.values() if form.encoder]


def first_line(appends: Appends, text: bytes) -> tuple[int, int] | None:
    """Return where the first line with a text begins, and where the reply ends; byte by byte.

    Behind a line without an end, a reply has what other channels have.
    """
    begun: dict[Channel, tuple[int, bytes]] = {}
    offset = 0
    for channel, data in appends:
        for byte in data:
            begin, line = begun.pop(channel, (offset, b""))
            offset += 1
            if byte != ord("\n"):
                begun[channel] = begin, line + bytes([byte])
            elif text in line:
                return begin, offset
    rests = sorted(begun.values())
    return next(((begin, offset) for begin, line in rests if text in line), None)


def ask(run: Run, **parameters: object) -> Reply:
    """Return the reply to a request for the log."""
    headers = {"last-event-id": str(parameters.pop("last"))} if "last" in parameters else {}
    return log_reply(run, Request("GET", "", query=urlencode(parameters), headers=headers))


def body(reply: Reply) -> bytes:
    """Return the whole of a reply."""
    assert reply.stream is not None
    return b"".join(pull(reply.stream))


def objects(data: bytes) -> list[dict]:
    """Return the objects of lines of JSON."""
    return [json.loads(line) for line in data.splitlines() if line]


def of_type(kind: str, events: list[Event]) -> list[str]:
    """Return the data of the events of a type."""
    return [event.data for event in events if event.type == kind]


def found_in(data: bytes) -> dict:
    """Return the object that says how the reply ended, of forms with objects."""
    (found,) = [one for one in objects(data) if isinstance(one, dict) and one.get("event") == "until"]
    return found


@PROPERTY
@given(APPENDS, st.sampled_from(["a", "ab", "bb", "aba"]))
def test_each_form_at_each_cut(appends: Appends, text: str):
    """In text, events, NDJSON, messages and polls the reply ends with the same line, from each place on."""
    with TemporaryDirectory() as folder:
        run = Store(f"{folder}/store").get(make_run(Path(folder) / "store", appends=appends))
        log = b"".join(data for _, data in appends)
        line = first_line(appends, text.encode())
        end = len(log) if line is None else line[1]
        behind = b"[runcast: the end, without the line that was waited for]\n"

        for cut in range(end):
            rest = body(ask(run, until=text, offset=cut))
            if line is not None:
                assert rest == log[cut:end]
            else:
                assert rest.removesuffix(behind).rstrip(b"\n") == log[cut:].rstrip(b"\n")
                assert rest.endswith(behind)
            told = found_in(body(ask(run, until=text, offset=cut, format="ndjson")))
            assert told["found"] is (line is not None)
            if line is not None:
                assert (int(told["offset"]), int(told["next"])) == line

        events = EventSource().read(body(ask(run, until=text, format="sse")))
        lines = [event for event in events if event.type == "message"]
        for event in lines:
            again = EventSource().read(body(ask(run, until=text, format="sse", last=event.id)))
            at = lines.index(event)
            assert [one.data for one in again if one.type == "message"] == [
                one.data for one in lines[at + 1 :]
            ]
            assert [one.data for one in again if one.type == "until"] == [
                one.data for one in events if one.type == "until"
            ]

        offset, until = "0", None
        while until is None:
            reply = json.loads(body(ask(run, until=text, format="json", max=1, offset=offset)))
            offset, until = reply["next"], reply.get("until")
        assert int(offset) == end
        assert until["found"] is (line is not None)
        assert reply["next_url"] is None


@pytest.mark.parametrize("form", STREAMED, ids=str)
def test_how_each_form_ends(own_store: Path, form: Form):
    """Behind the line comes nothing of the log, and no outcome; without it the outcome comes as ever."""
    run = Store(str(own_store)).get(make_run(own_store))
    request = Request("GET", "", headers={})
    ends = {}
    for text in ("two", "four"):
        view = log_view(run, Query(until=text), form, None, request)
        ends[text] = b"".join(pull(LogStream(view)))

    assert b"three" not in ends["two"]
    assert not any(word in ends["two"] for word in OUTCOMES)
    assert b"two" in ends["two"]
    assert b"three" in ends["four"]
    assert form is TEXT or any(word in ends["four"] for word in OUTCOMES)
    assert b"without the line" in ends["four"] or b'"found":false' in ends["four"]
    if "event" in form.media_type:
        assert EventSource().read(ends["two"])[-1].id == f"{run.id}:end"  # so that it does not come again


def test_outcome_behind_the_notice(own_store: Path):
    """In text, `end=1` adds the outcome behind the line that says that there was none."""
    run = Store(str(own_store)).get(make_run(own_store))

    assert body(ask(run, until="four", end=1)).splitlines()[-2:] == [
        b"[runcast: the end, without the line that was waited for]",
        b"[runcast: exit code 0]",
    ]


def test_channels(own_store: Path):
    """Only the requested channels are searched."""
    run = Store(str(own_store)).get(
        make_run(own_store, appends=[(OUT, b"x 1\n"), (ERR, b"x 2\n"), (ERR, b"y\n")])
    )

    assert body(ask(run, until="x", channel="stderr")) == b"x 2\n"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"until": ""}, "expected 1 to 4,096 characters"),
        ({"until": "a\nb"}, "expected a text within a line"),
        ({"until": "a[", "regex": "1"}, "unterminated character set at character 2"),
        ({"until": "a", "regex": "maybe"}, "expected regex to be 1 or 0"),
    ],
)
def test_bad_text(own_store: Path, parameters: dict[str, str], words: str):
    """What cannot be waited for is refused before the reply begins."""
    run = Store(str(own_store)).get(make_run(own_store))

    for form in ("text", "sse", "json"):
        with pytest.raises(UsageError, match=words.replace("[", r"\[")):
            ask(run, format=form, **parameters)


def test_no_length_is_promised(own_store: Path):
    """The text of a closed log that ends with a line has no length, tag or range of the whole."""
    run = Store(str(own_store)).get(make_run(own_store))
    reply = log_reply(run, Request("GET", "", query="until=one", headers={"range": "bytes=0-1"}))

    assert reply.status == 200
    assert not {"content-length", "etag"} & {name.lower() for name, _ in reply.headers}
