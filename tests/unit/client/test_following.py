"""What the client makes of the wire: lines, what a cut leaves of one, offsets that do not fit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.client.actions import NetworkError, Open, Read, Response, Sleep
from runcast.client.following import Event, Following, parse_time, rescue, to_chunk
from runcast.client.server import Server
from runcast.errors import MirrorBehind, NotRuncast, RunElsewhere
from runcast.model import Channel, Chunk, Reading, rfc3339
from runcast.wire import JsonLines, ResumePoint, problem
from tests.unit.texts import texts

RUN = "0" * 26


def line_of(data: bytes, offset: int = 0) -> bytes:
    chunk = Chunk(offset, offset + len(data), Channel.STDOUT, 1.5, data)
    return (
        JsonLines(RUN, ResumePoint(offset)).feed(Reading([chunk], chunk.next), final=True).removesuffix(b"\n")
    )


def drive(
    replies: list[list[bytes | NetworkError] | Response],
    *,
    follow: bool = True,
    channel: str | None = None,
    patience: float = 60.0,
) -> list[Event]:
    """Give what following says when each connection brings these bytes, or is refused."""
    found: list[Event] = []

    def hear(event: Event) -> tuple[()]:
        found.append(event)
        return ()

    query = () if channel is None else (("channel", channel),)
    server = Server("http://127.0.0.1:1/", None)
    steps = Following(server, RUN, hear, query=query, follow=follow, patience=patience).steps()
    result: Response | bytes | None = None
    waiting: list[bytes | NetworkError] = []
    connections = iter(replies)
    failed: NetworkError | None = None
    while True:
        try:
            act = steps.throw(failed) if failed else steps.send(result)
        except StopIteration:
            return found
        result = failed = None
        match act:
            case Open(headers=headers):
                reply = next(connections)
                found.append({"event": "open", "last": headers.get("Last-Event-ID")})
                if isinstance(reply, Response):
                    result, waiting = reply, []
                else:
                    result, waiting = Response(200, "OK", "application/x-ndjson", b""), list(reply)
            case Read():
                brought = waiting.pop(0) if waiting else b""
                result, failed = (None, brought) if isinstance(brought, NetworkError) else (brought, None)
            case Sleep():
                pass


def bytes_of(events: list[Event]) -> bytes:
    return b"".join(to_chunk(event).data for event in events if "event" not in event)


@given(st.binary(max_size=300), st.data())
def test_what_a_cut_leaves(data: bytes, choose: st.DataObject):
    """Of a line that is cut anywhere, what is rescued is a beginning of its bytes, at their offset."""
    line = line_of(data, 70) if data else b""
    rescued = rescue(line[: choose.draw(st.integers(0, len(line)))])

    if rescued is not None:
        chunk = to_chunk(json.loads(rescued))
        assert chunk.offset == 70
        assert chunk.next == 70 + len(chunk.data)
        assert data.startswith(chunk.data)
        assert chunk.data != b""


@given(texts(min_size=40), st.integers(1, 30))
def test_a_cut_leaves_nearly_all(text: str, back: int):
    """All but the last characters of a line that is cut is rescued."""
    data = text.encode(errors="replace")
    line = line_of(data)

    rescued = rescue(line[: len(line) - 2 - back])

    assert rescued is not None
    assert len(to_chunk(json.loads(rescued)).data) >= len(data) - 4 * (back + 12)


def preamble(offset: int) -> bytes:
    return JsonLines(RUN, ResumePoint(offset)).preamble({"id": RUN})


END = b'{"event":"exit","state":"exited","outcome":null,"offset":"0"}\n'


def test_comes_back_behind_what_it_got():
    """After a cut it asks for what follows the last byte, half lines included."""
    line = line_of(b"abcdefghij" * 10)
    cut = line.index(b"abc") + 25

    events = drive(
        [
            [preamble(0) + line[:cut], NetworkError("cut")],
            [preamble(25), line_of(b"rest", 25), b"\n" + END],
        ]
    )

    opened = [event["last"] for event in events if event.get("event") == "open"]
    assert opened == [None, f"{RUN}:{25:020d}"]
    assert bytes_of(events) == (b"abcdefghij" * 10)[:25] + b"rest"


@pytest.mark.parametrize(("offset", "following"), [(3, 7), (11, 15), (10, 9)])
def test_offsets_that_do_not_fit(offset: int, following: int):
    """What would be lost or doubled does not pass for output."""
    first = line_of(b"0123456789") + b"\n"
    second = b'{"offset":"%d","next":"%d","channel":"stdout","time":null,"text":"x"}\n' % (offset, following)

    with pytest.raises(NotRuncast, match="from offset 10 on"):
        drive([[preamble(0) + first + second]])


def test_holes_of_a_filter():
    """With a filter, offsets may leave something out."""
    second = b'{"offset":"30","next":"31","channel":"stdout","time":null,"text":"x"}\n'

    events = drive([[preamble(0) + line_of(b"0123456789") + b"\n" + second + END]], channel="stdout")

    assert bytes_of(events) == b"0123456789x"


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b'{"offset":"x","next":"1"}\n', b"{}\n", b"17\n"])
def test_no_log(line: bytes):
    """What is no log is told as that."""
    with pytest.raises(NotRuncast, match="expected a log of the server"):
        drive([[preamble(0) + line]])


def test_end_in_the_middle_is_no_end():
    """A reply that ends without an exit is asked for again, also where only what there is now was wanted."""
    whole = line_of(b"0123456789")
    half = whole[: whole.index(b"01234") + 4]

    events = drive([[preamble(0) + half], [preamble(0) + whole + b"\n"]], follow=False)

    assert bytes_of(events) == b"0123456789"


BEHIND = Response(503, "", "application/problem+json", problem(MirrorBehind(f"/{RUN}", 10, 4))[1])


def test_host_that_is_behind():
    """Of several hosts behind one address one may know less than the last one: that is tried again."""
    first = line_of(b"0123456789") + b"\n"

    events = drive([[preamble(0) + first], BEHIND, BEHIND, [preamble(10) + END]])

    assert bytes_of(events) == b"0123456789"
    opened = [event["last"] for event in events if event.get("event") == "open"]
    assert opened == [None, *[f"{RUN}:{10:020}"] * 3]


def test_place_that_no_host_knows():
    """A first request beyond what is known is refused at once, a later one when the patience is over."""
    with pytest.raises(MirrorBehind, match="up to 4, got 10") as refused:
        drive([BEHIND])
    assert (refused.value.start, refused.value.tail) == (10, 4)
    with pytest.raises(MirrorBehind):
        drive([[preamble(0) + line_of(b"0123456789") + b"\n"], *[BEHIND] * 100_000], patience=0.01)


def test_run_of_a_store_that_is_shared_no_more():
    """What a server says of it, a client says, too."""
    error = RunElsewhere(RUN, "far", unshared=True)
    reply = Response(409, "", "application/problem+json", problem(error)[1])

    with pytest.raises(RunElsewhere) as refused:
        drive([reply])
    assert str(refused.value) == str(error)


def test_chunks_of_later_versions():
    """A channel that a later version invented is unknown, its bytes are not."""
    value = {"offset": "0", "next": "2", "channel": "video", "time": None, "base64": "AAE="}

    assert to_chunk(value) == Chunk(0, 2, Channel.UNKNOWN, 0.0, b"\0\1")


@given(st.floats(1.0, 4e9))
def test_times(seconds: float):
    """A time comes back as it was, to the microsecond."""
    assert parse_time(rfc3339(seconds)) == pytest.approx(seconds, abs=1e-6)
