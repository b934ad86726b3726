"""Streams on the command line: beside the runs, of a store and of a server."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from runcast.durable import FileStreams
from runcast.wire.durable import Appending, Creation
from tests.helpers.children import run_python
from tests.helpers.cli import LONG, Done, cli, cli_begun
from tests.helpers.servers import Server

TEXT = Creation("text/plain")
PLAIN = Appending("text/plain")
CLOSE = Appending(close=True)

pytestmark = pytest.mark.slow


@pytest.fixture(name="streams")
def streams_fixture(own_store: Path) -> FileStreams:
    """Give the streams of the test's store."""
    return FileStreams(str(own_store))


@pytest.fixture(name="verb", params=["store", "server"])
def verb_fixture(
    request: pytest.FixtureRequest, store: Store, own_store: Path, serving: Callable[[str, Path], Server]
) -> Callable[..., Done]:
    """Give what runs a verb: on the test's store, or on a server of it."""
    if request.param == "store":
        return cli
    server = serving("uvicorn", own_store)
    return lambda *arguments: cli("--server", server.root, *arguments)


def rows(done: Done) -> list[tuple[str, str, str]]:
    """Return id, state and command of each line of a table."""
    assert done.code == 0, done.err
    lines = [re.split(r" {2,}", line) for line in done.out.decode().splitlines()[1:]]
    return [(line[0], line[1], line[-1]) for line in lines]


def test_ls(verb: Callable[..., Done], store: Store, streams: FileStreams):
    """Streams stand among the runs, newest first: running until they are closed, with their names."""
    first, _ = streams.create("builds/42", TEXT, b"x" * 2048)
    run = store.start(["echo", "hi"])
    run.wait(timeout=LONG)
    second, _ = streams.create("chat", Creation("application/json"))
    first.append(CLOSE, b"")

    listed = [
        (second.id, "running", "stream chat"),
        (run.id, "exit 0", "echo hi"),
        (first.id, "closed", "stream builds/42"),
    ]
    assert rows(verb("ls")) == listed
    assert rows(verb("ls", "-n", "2")) == listed[:2]
    assert b"  2.0 KiB  stream builds/42\n" in verb("ls").out
    told = [json.loads(line) for line in verb("ls", "--json", "--all").out.splitlines()]
    assert [(one["id"], one["source"], one["name"]) for one in told] == [
        (second.id, "stream", "chat"),
        (run.id, "command", "echo"),
        (first.id, "stream", "builds/42"),
    ]


def test_ls_functions(store: Store):
    """What has no command is listed by what it is and its name."""

    def work() -> None:
        print("done")

    store.start(work).wait(timeout=LONG)
    store.start(iter(["a"]), name="letters").wait(timeout=LONG)

    assert [row[2] for row in rows(cli("ls"))] == ["generator letters", "function work"]


def test_ls_of_streams_alone(streams: FileStreams, own_store: Path):
    """A store that has streams and never had a run lists them."""
    stream, _ = streams.create("s", TEXT)

    assert rows(cli("ls")) == [(stream.id, "running", "stream s")]


def test_ls_without_streams(store: Store):
    """Where there are no streams, nothing that knows streams is loaded."""
    store.start(["true"]).wait(timeout=LONG)
    look = "import sys; from runcast.cli import main; main(['ls']); print('runcast.durable' in sys.modules)"

    assert run_python(look).splitlines()[-1] == "False"
    FileStreams(store.path).create("s", TEXT)
    assert run_python(look).splitlines()[-1] == "True"


@pytest.mark.parametrize("how", ["id", "part", "name", "last"])
def test_log(verb: Callable[..., Done], store: Store, streams: FileStreams, how: str):
    """A stream's output is printed by its id, a part of it, its name, or as the newest."""
    store.start(["true"]).wait(timeout=LONG)
    stream, _ = streams.create("a/b c", TEXT, b"one\ntwo\n")
    named = {"id": stream.id, "part": stream.id[-10:], "name": "a/b c", "last": "last"}[how]

    assert verb("log", "--tail", "1", named) == (0, b"two\n", "")


def test_names_are_as_they_were_given(streams: FileStreams):
    """Upper and lower case are two names, and a name that looks like a part of an id is a name."""
    upper, _ = streams.create("Build", TEXT, b"upper")
    streams.create("build", TEXT, b"lower")
    streams.create(upper.id[-6:], TEXT, b"part")

    assert cli("log", "Build").out == b"upper"
    assert cli("log", "build").out == b"lower"
    assert cli("log", upper.id[-6:]).out == b"part"
    assert cli("log", upper.id.upper()).out == b"upper"


def test_part_of_two_ids(store: Store, streams: FileStreams):
    """A part that a run and a stream have is refused, with both."""
    run = store.start(["true"])
    run.wait(timeout=LONG)
    stream, _ = streams.create("s", TEXT)
    done = cli("log", run.id[:4])  # the years

    assert done.code == 2
    assert run.id in done.err
    assert stream.id in done.err


def test_nothing_of_that_name(verb: Callable[..., Done], streams: FileStreams):
    """What is neither an id nor a name is told as such."""
    streams.create("s", TEXT)
    done = verb("log", "builds/43")

    assert done.code == 2
    assert "no run 'builds/43' in the " in done.err


def test_follow_and_wait(streams: FileStreams):
    """Who follows sees what others append, until the stream is closed; who waits returns with 0 then."""
    stream, _ = streams.create("s", TEXT, b"one ")
    with cli_begun("follow", "--exit-status", "s") as follower, cli_begun("wait", "s") as waiter:
        assert follower.stdout is not None
        assert follower.stdout.read(4) == b"one "
        stream.append(PLAIN, b"two")
        assert follower.stdout.read(3) == b"two"
        assert waiter.poll() is None
        stream.append(CLOSE, b"")
        assert (follower.stdout.read(), follower.wait(LONG), waiter.wait(LONG)) == (b"", 0, 0)


def test_follow_until_it_is_removed(streams: FileStreams):
    """A stream that is removed while somebody follows it is told in one line."""
    streams.create("s", TEXT, b"x")
    with cli_begun("follow", "s") as follower:
        assert follower.stdout is not None
        assert follower.stderr is not None
        assert follower.stdout.read(1) == b"x"
        assert cli("rm", "--force", "s").code == 0
        said = follower.stderr.read()
        assert follower.wait(LONG) == 2
    assert said.startswith(b"runcast: no stream ")
    assert said.count(b"\n") == 1


@pytest.mark.parametrize("act", ["stop", "kill"])
def test_nothing_to_stop(verb: Callable[..., Done], streams: FileStreams, act: str):
    """A stream cannot be stopped: others append to it."""
    stream, _ = streams.create("s", TEXT)
    done = verb(act, "s")

    assert done.code == 2
    assert f"{stream.id} is a stream that others append to: stop them instead" in done.err
    stream.append(PLAIN, b"still open")


@pytest.mark.parametrize("act", ["pin", "unpin"])
def test_nothing_to_pin(verb: Callable[..., Done], streams: FileStreams, act: str):
    """A stream cannot be pinned: no sweep takes one."""
    stream, _ = streams.create("s", TEXT)
    done = verb(act, "s")

    assert done.code == 2
    assert f"expected a run, {stream.id} is a stream, which no sweep takes: it cannot be pinned" in done.err


def test_rm(verb: Callable[..., Done], store: Store, streams: FileStreams):
    """A closed stream is removed by its name or id; an open one is refused, unless it is forced."""
    run = store.start(["true"])
    run.wait(timeout=LONG)
    for name in ("a", "b", "open/one"):
        streams.create(name, TEXT)
    closed = [streams.get(name) for name in ("a", "b")]
    for stream in closed:
        stream.append(CLOSE, b"")

    assert verb("rm", "a", closed[1].id) == (0, b"", "")
    refused = verb("rm", "open/one")
    assert refused.code == 2
    assert "the stream 'open/one' is open" in refused.err
    assert "--force" in refused.err
    assert list(streams.names()) == ["open/one"]
    assert verb("rm", "--force", "open/one") == (0, b"", "")
    assert list(streams.names()) == []
    assert [one.id for one in store.list()] == [run.id]


def test_rm_with_forks(streams: FileStreams):
    """A stream with forks is gone from the list, and its forks have its bytes."""
    streams.create("parent", TEXT, b"shared")
    streams.create("fork", Creation(forked_from="parent"))

    assert cli("rm", "--force", "parent").code == 0
    assert [row[2] for row in rows(cli("ls"))] == ["stream fork"]
    assert cli("log", "fork").out == b"shared"


def test_rm_all_finished(verb: Callable[..., Done], store: Store, streams: FileStreams):
    """All that is over is removed, closed streams too; what goes on stays."""
    store.start(["true"]).wait(timeout=LONG)
    streams.create("closed", Creation("text/plain", closed=True))
    stays, _ = streams.create("open", TEXT)

    assert verb("rm", "--all-finished") == (0, b"", "")
    assert rows(verb("ls")) == [(stays.id, "running", "stream open")]


def test_rm_under_a_server(server: Server, streams: FileStreams):
    """A server whose stream is removed from the command line takes no more for it, and can make it anew."""
    plain = {"Content-Type": "text/plain"}
    assert server.ask("PUT", "/v1/stream/s", b"old", **plain)[0] == 201
    assert server.ask("POST", "/v1/stream/s", b"er", **plain)[0] == 204
    assert cli("rm", "--force", "s").code == 0

    assert server.ask("POST", "/v1/stream/s", b"x", **plain)[0] == 404
    assert server.ask("PUT", "/v1/stream/s", b"new", **plain)[0] == 201
    assert server.ask("GET", "/v1/stream/s?offset=-1")[2] == b"new"
    assert cli("log", "s").out == b"new"


@pytest.fixture(name="server")
def server_fixture(store: Store, own_store: Path, serving: Callable[[str, Path], Server]) -> Server:
    """Serve the test's store."""
    return serving("uvicorn", own_store)


def test_damaged_stream(streams: FileStreams):
    """A stream whose files cannot be read does not keep the others from being listed."""
    good, _ = streams.create("good", TEXT)
    bad, _ = streams.create("bad", TEXT)
    shutil.rmtree(f"{streams.path}/{bad.id}/append")

    done = cli("ls")
    assert [row[2] for row in rows(done)] == ["stream bad", "stream good"]
    assert done.err == (f"runcast: run {bad.id} is damaged: append/tail: expected a file, it is missing\n")
    assert good.id.encode() in done.out


def test_remove_damaged_stream(streams: FileStreams, verb: Callable[..., Done]):
    """A stream whose files do not say that it is one is removed at once, not waited for."""
    bad, _ = streams.create("bad", TEXT)
    Path(streams.path, bad.id, "run.json").write_bytes(b"")

    assert json.loads(verb("ls", "--json").out)["source"] == "stream"
    assert verb("rm", "--force", bad.id) == (0, b"", "")
    assert not Path(streams.path, bad.id).exists()
