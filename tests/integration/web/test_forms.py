"""One URL, every client: each form says the whole log, live, and how it ended."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.model import Channel
from tests.helpers.servers import LONG, Server
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import EventSource

# Says one line, and the rest when the file `go` is there.
TWO_STEPS = "echo one; echo two >&2; while [ ! -e go ]; do sleep 0.02; done; printf three; exit 3"
ACCEPTS = {
    "text": "text/plain",
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
}


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Run:
    """Start a run that stops half way until `go` is made in the test's folder."""
    (tmp_path / "steps.sh").write_text(TWO_STEPS)  # its text is not in the run's command line
    run = store.start(["bash", "steps.sh"], cwd=tmp_path)
    wait_until(lambda: run.tail_offset == 8, what="the first two lines")
    return run


@pytest.mark.parametrize("form", ACCEPTS)
def test_first_line_arrives_while_the_run_goes_on(
    server: Server, run: Run, tmp_path: Path, form: str
) -> None:
    """The first line is there before the second was written, and the rest comes when it is."""
    with server.stream(f"/runs/{run.id}/log", Accept=ACCEPTS[form]) as response:
        seen = b""
        while b"two" not in seen:
            seen += response.read1()
        assert b"one" in seen
        assert b"three" not in seen
        (tmp_path / "go").touch()
        seen += response.read()
    assert b"three" in seen


def test_curl_streams_bytes(server: Server, run: Run, tmp_path: Path) -> None:
    """curl without options gets the bytes as they come, and with `end=1` the outcome as a last line."""
    curl = ["curl", "-sN", f"{server.root}/runs/{run.id}/log?end=1"]
    with subprocess.Popen(curl, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert sorted([process.stdout.readline(), process.stdout.readline()]) == [b"one\n", b"two\n"]
        (tmp_path / "go").touch()
        rest = process.communicate(timeout=LONG)[0]
    assert rest == b"three\n[runcast: exit code 3]\n"


def test_events_say_lines_and_the_exit(server: Server, run: Run, tmp_path: Path) -> None:
    """An EventSource sees each line as one event, and the exit by name."""
    (tmp_path / "go").touch()
    run.wait()
    body = server.ask("GET", f"/runs/{run.id}/log", Accept="text/event-stream")[2]
    events = EventSource().read(body)
    assert [event.type for event in events] == ["run", "message", "message", "message", "exit"]
    assert sorted(event.data for event in events[1:4]) == ["one", "three", "two"]
    assert json.loads(events[-1].data)["outcome"]["code"] == 3
    assert events[-1].id == f"{run.id}:end"


def test_long_poll_goes_on_from_next(server: Server, run: Run, tmp_path: Path) -> None:
    """Polling with `next` gives everything once, without delay where there is output, and the end."""
    text, offset, closed = "", "-1", False
    while not closed:
        path = f"/runs/{run.id}/log?offset={offset}"
        reply = json.loads(server.ask("GET", path, Accept="application/json")[2])
        text += "".join(chunk["text"] for chunk in reply["chunks"])
        offset, closed = reply["next"], reply["closed"]
        if "two" in text and "one" in text:
            (tmp_path / "go").touch()
    assert sorted(text.split("\n")) == ["one", "three", "two"]
    assert reply["outcome"]["code"] == 3
    again = server.ask("GET", f"/runs/{run.id}/log?offset={offset}", Accept="application/json")[2]
    assert json.loads(again)["closed"]


def test_poll_without_waiting_answers_at_once(server: Server, run: Run) -> None:
    """`wait=0` at the tail of a live log is an empty answer, not a wait."""
    path = f"/runs/{run.id}/log?offset=now&wait=0"
    reply = json.loads(server.ask("GET", path, Accept="application/json")[2])
    assert reply["chunks"] == []
    assert reply["closed"] is False


def test_range_and_places(server: Server, run: Run, tmp_path: Path) -> None:
    """`Range`, `tail`, `line`, `offset` and `channel` choose what is read."""
    (tmp_path / "go").touch()
    run.wait()
    whole = run.output(encoding=None)
    log = f"/runs/{run.id}/log"
    assert server.ask("GET", log, Range="bytes=1-4")[2] == whole[1:5]
    assert server.ask("GET", log, Range="bytes=-5")[2] == b"three"
    assert server.ask("GET", f"{log}?tail=1")[2] == b"three"
    assert server.ask("GET", f"{log}?line=2")[2] == whole[4:]
    assert server.ask("GET", f"{log}?offset=4")[2] == whole[4:]
    assert server.ask("GET", f"{log}?channel=stderr")[2] == b"two\n"
    status, headers, _ = server.ask("GET", log, Range="bytes=2-3")
    assert (status, headers["content-range"]) == (206, f"bytes 2-3/{len(whole)}")


def test_if_range(server: Server, store: Store) -> None:
    """A part is given to who has a part of the same, by its tag; else all of it (RFC 9110, 13.1.5)."""
    run = store.start(["seq", "1000"])
    wait_until(lambda: run.closed)
    whole, log = run.output(encoding=None), f"/runs/{run.id}/log"
    status, fields, body = server.ask("GET", log)
    tag = fields["etag"]
    assert (status, body) == (200, whole)
    assert re.fullmatch(r'"[0-9a-z-]+"', tag)

    def part(match: str, path: str = log) -> tuple[int, bytes]:
        status, fields, body = server.ask("GET", path, Range="bytes=5-9", If_Range=match)
        assert fields["etag"] == tag
        return status, body

    assert part(tag) == (206, whole[5:10])
    others = (f"W/{tag}", '"another"', tag.strip('"'), f'{tag}, "another"', "*", "")
    for other in (*others, "Sat, 28 Nov 2026 10:00:00 GMT"):
        assert part(other) == (200, whole), other

    for known in (tag, f"W/{tag}", f'"another", {tag}', "*"):
        status, fields, body = server.ask("GET", log, If_None_Match=known)
        assert (status, fields["etag"], body) == (304, tag, b"")
    assert server.ask("GET", log, If_None_Match='"another"')[2] == whole
    for query in ("tail=1", "offset=4", "end=1", "channel=stdout", "interval=9"):  # other texts
        assert "etag" not in server.ask("GET", f"{log}?{query}", If_None_Match="*")[1]


def test_if_range_of_a_live_run(server: Server, run: Run) -> None:
    """What still grows has no tag: no `If-Range` fits it, and its beginning is what one gets."""
    wait_until(lambda: run.tail_offset)
    log = f"/runs/{run.id}/log?follow=0"

    status, fields, body = server.ask("GET", log, Range="bytes=2-", If_Range='"any"')
    assert (status, "etag" in fields) == (200, False)
    assert sorted(body.splitlines()) == [b"one", b"two"]
    assert server.ask("GET", log, Range="bytes=2-")[0] == 206


@pytest.mark.parametrize("changed", [False, True], ids=["same", "another"])
def test_curl_resumes(server: Server, store: Store, tmp_path: Path, changed: bool) -> None:
    """curl goes on with half a file where the log is the same, and gets all of it where it is another."""
    run = store.start(["seq", "1000"])
    wait_until(lambda: run.closed)
    whole, url = run.output(encoding=None), f"{server.root}/runs/{run.id}/log"
    tag = '"of another log"' if changed else server.ask("HEAD", f"/runs/{run.id}/log")[1]["etag"]

    curl = ["curl", "-sS", "-D", tmp_path / "head", "-o", tmp_path / "rest", "-r", "1000-"]
    subprocess.run([*curl, "-H", f"If-Range: {tag}", url], check=True, timeout=LONG)

    status, rest = (tmp_path / "head").read_bytes().split()[1], (tmp_path / "rest").read_bytes()
    assert (status, rest) == ((b"200", whole) if changed else (b"206", whole[1000:]))


def test_range_of_dropped_bytes(server: Server, store: Store) -> None:
    """A part of which bytes were dropped is gone; one before them, and one behind, is exact."""
    capped = store.start(["sh", "-c", "yes | head -c 1000000"], cap=65536)
    wait_until(lambda: capped.closed)
    log = f"/runs/{capped.id}/log"
    gap = next(chunk for chunk in capped.follow() if chunk and chunk.channel is Channel.GAP)

    assert server.ask("GET", log, Range="bytes=0-999999")[0] == 410
    assert server.ask("GET", log, Range=f"bytes={gap.offset}-{gap.offset}")[0] == 410
    assert server.ask("GET", log, Range=f"bytes=0-{gap.offset - 1}")[2] == b"y\n" * (gap.offset // 2)
    status, fields, body = server.ask("GET", log, Range=f"bytes={gap.next}-")
    assert (status, len(body)) == (206, 1_000_000 - gap.next)
    assert fields["content-range"] == f"bytes {gap.next}-999999/1000000"


def test_headers_of_a_live_reply(server: Server, run: Run) -> None:
    """Nothing between us and the client may hold back, keep or guess."""
    with server.stream(f"/runs/{run.id}/log") as response:
        assert response.getheader("X-Accel-Buffering") == "no"
        assert response.getheader("Cache-Control") == "no-store, no-transform"
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert response.getheader("Transfer-Encoding") == "chunked"


def test_head_reads_nothing(server: Server, run: Run) -> None:
    """A HEAD of a live log is answered at once, without a body."""
    status, headers, body = server.ask("HEAD", f"/runs/{run.id}/log")
    assert (status, body) == (200, b"")
    assert headers["content-type"].startswith("text/plain")


def test_whole_text_says_its_length(server: Server, run: Run, tmp_path: Path) -> None:
    """The text of a closed log has its length, from an offset too; a live or filtered one has none."""
    path = f"/runs/{run.id}/log"
    with server.stream(path, Accept="text/plain") as response:
        assert response.getheader("Content-Length") is None
    (tmp_path / "go").touch()
    run.wait()
    wait_until(lambda: run.closed, what="the end of the log")

    _, headers, body = server.ask("GET", path)
    _, later, rest = server.ask("GET", f"{path}?offset=5")

    assert (headers["content-length"], len(body)) == ("13", 13)
    assert (later["content-length"], rest) == ("8", body[5:])
    assert server.ask("HEAD", path)[1]["content-length"] == "13"
    for part in ("?channel=stderr", "?end=1", "?interval=9"):
        assert "content-length" not in server.ask("GET", path + part)[1]


def test_no_length_where_bytes_are_gone(server: Server, store: Store) -> None:
    """A log with a gap has a notice of it, so the reply is longer than the bytes, and has no length."""
    run = store.start(["seq", "100000"], cap=100_000)
    run.wait()
    wait_until(lambda: run.closed, what="the end of the log")

    _, headers, body = server.ask("GET", f"/runs/{run.id}/log")

    assert b" are gone]\n" in body
    assert "content-length" not in headers


def test_recording(server: Server, run: Run, tmp_path: Path) -> None:
    """A recording says each piece of output with its time, and how it ended."""
    with server.stream(f"/runs/{run.id}/log", Accept="application/x-asciicast") as response:
        assert response.getheader("Content-Type") == "application/x-asciicast"
        (tmp_path / "go").touch()
        header, *events = map(json.loads, response.read().splitlines())

    assert (header["version"], header["title"]) == (2, "bash")
    assert sorted(data for _, kind, data in events if kind == "o" and data) == ["one\r\n", "three", "two\r\n"]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    assert events[-1][1:] == ["m", "exit code 3"]


def test_recording_v3(server: Server, run: Run, tmp_path: Path) -> None:
    """A recording in v3 has events from its first byte on, intervals, and the exit status."""
    with server.stream(f"/runs/{run.id}/log?format=asciicast-v3") as response:
        assert response.getheader("Content-Type") == "application/x-asciicast"
        first = [json.loads(response.readline()) for _ in range(2)]
        (tmp_path / "go").touch()
        events = [json.loads(line) for line in response.read().splitlines()]

    assert (first[0]["version"], first[0]["term"], first[1]) == (3, {"cols": 80, "rows": 24}, [0.0, "o", ""])
    assert sorted(data for _, kind, data in events if kind == "o") == ["one\r\n", "three", "two\r\n"]
    assert [event[1:] for event in events[-2:]] == [["m", "exit code 3"], ["x", "3"]]
    assert run.outcome is not None
    assert sum(event[0] for event in events) == pytest.approx(run.outcome.ended_at - run.created_at, abs=1e-3)
