"""`--server`: every verb against the runs of a server, as against those of a store."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from runcast import Run, State, Store
from tests.helpers.children import Printer
from tests.helpers.cli import LONG, RUNCAST, Done, cli, cli_begun, terminal
from tests.helpers.stores import empty_store, temporary_store
from tests.helpers.wait import wait_until
from tests.integration.server.test_addresses import own_address
from tests.integration.server.test_serve import Server, serving

pytestmark = pytest.mark.slow

FOREVER = "echo ready; exec sleep 1000"


class Served(NamedTuple):
    """A server that starts anything, and its store."""

    server: Server
    store: Store


@pytest.fixture(name="served", scope="module")
def served_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a store for all tests."""
    path = tmp_path_factory.mktemp("served") / "store"
    with temporary_store(path) as store, serving("--allow-any-command", "--store", path) as server:
        yield Served(server, store)


@pytest.fixture(name="store")
def store_fixture(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Give the store that is served, which is empty."""
    monkeypatch.setenv("RUNCAST_STORE", served.store.path)
    yield served.store
    empty_store(served.store)


@pytest.fixture(name="server")
def server_fixture(served: Served, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Give the server."""
    monkeypatch.delenv("RUNCAST_TOKEN", raising=False)
    return served.server


def there(server: Server, verb: str, *arguments: object, **options: Any) -> Done:
    """Run a verb against the server, from a machine that has another store."""
    options["env"] = {**os.environ, "RUNCAST_STORE": "/nonexistent/store"}
    return cli(verb, "--server", server.url, *arguments, **options)


def only(store: Store) -> Run:
    (run,) = store.list()
    return run


def test_line_of_serve(store: Store):
    """The last line that serve prints is what starts a command there, as it is pasted into a shell."""
    with serving("--allow-any-command") as server:
        assert server.process.stdout is not None
        line = server.process.stdout.readline().decode().rstrip("\n")
        assert line.endswith(" -- COMMAND")
        pasted = line.replace("runcast", RUNCAST, 1).replace("COMMAND", "echo here")
        done = subprocess.run(["sh", "-c", pasted], capture_output=True, timeout=LONG, check=True)

    assert done.stdout == b"here\n"
    assert only(store).command == ["echo", "here"]


def test_line_for_other_machines(store: Store):
    """On every address it names one that other machines can reach."""
    with serving("--allow-any-command", "--host", "0.0.0.0") as server:
        assert server.process.stdout is not None
        line = ""
        while "runcast run" not in line:
            line = server.process.stdout.readline().decode()
    assert not re.search(r"127\.0\.0\.1|localhost|\[::1\]", line)


def test_output_and_exit_code(server: Server, store: Store, tmp_path: Path):
    """Both channels come out byte for byte, and the exit code is the command's."""
    printer = Printer(tmp_path / "copies", lines=2000, last="exit 7")
    with (tmp_path / "err").open("wb") as err:
        done = there(server, "run", "--", *printer.argv, stderr=err)

    assert (done.code, done.out) == (7, printer.copy("stdout"))
    assert (tmp_path / "err").read_bytes() == printer.copy("stderr")  # no link: it is no terminal


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["sh", "-c", "kill -9 $$"], 137, "killed by SIGKILL"),
        (["no-such-program"], 127, "command not found"),
        (["--timeout", "0.1", "--", "sleep", "600"], 124, "timed out"),
    ],
)
def test_other_endings(server: Server, store: Store, command: list[str], code: int, said: str):
    """Exit codes and words are those of a run here."""
    done = there(server, "run", *command)

    assert (done.code, done.out) == (code, b"")
    assert said in done.err


def test_output_is_live(server: Server, store: Store, tmp_path: Path):
    """Output is shown while the command still runs, half lines too."""
    go = tmp_path / "go"
    wait = f"printf 'half a line'; until test -e {go}; do sleep 0.01; done; echo"
    with cli_begun("run", "--server", server.url, "--shell", wait) as process:
        assert process.stdout.read(11) == b"half a line"
        assert only(store).state is State.RUNNING
        go.touch()
        assert process.communicate(timeout=LONG)[0] == b"\n"
    assert process.returncode == 0


def test_stdin(server: Server, store: Store):
    """With -i the run reads what comes in here, all of it, to its end."""
    data = b"".join(b"%d\n" % number for number in range(200_000))

    done = there(server, "run", "-i", "--", "cat", input=data)

    assert (done.code, done.out == data) == (0, True)
    assert there(server, "run", "--", "cat", input=b"not asked for").out == b""


def test_detached_with_stdin(server: Server, store: Store):
    """With --detach it stays until the input is sent, and prints the id."""
    done = there(server, "run", "--detach", "-i", "--", "sort", input=b"b\na\n")

    assert done.out.decode().strip() == only(store).id
    assert only(store).output() == "a\nb\n"
    failed = there(server, "run", "--detach", "--", "no-such-program")
    assert failed.code == 127


def test_ctrl_c_stops_it_there(server: Server, store: Store):
    """Ctrl-C stops the run on the server, and the exit code is 130."""
    with terminal("run", "--server", server.url, "--shell", FOREVER) as screen:
        screen.until("ready")
        screen.type("\x03")
        assert screen.end() == 130

    assert f"stopping run {only(store).id}" in screen.seen
    assert only(store).wait(timeout=LONG).signal == signal.SIGINT


def test_second_ctrl_c_kills_it_there(server: Server, store: Store):
    """A second Ctrl-C kills a run that does not heed the first."""
    stubborn = "trap '' INT TERM; echo ready; while :; do sleep 0.05; done"
    with terminal("run", "--server", server.url, "--shell", stubborn) as screen:
        screen.until("ready")
        screen.type("\x03")
        screen.until("stopping run")
        screen.type("\x03")
        assert screen.end() == 130

    assert only(store).wait(timeout=LONG).signal == signal.SIGKILL


def test_terminal_goes(server: Server, store: Store):
    """When we are told to go the run goes on there, and how to come back is said without the token."""
    with cli_begun("run", "--server", server.url, "--shell", FOREVER) as process:
        assert process.stdout.read(6) == b"ready\n"
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=LONG)[1].decode()

    assert process.returncode == 128 + signal.SIGTERM
    bare = shlex.quote(server.url.partition("?")[0])
    assert (
        f"run {only(store).id} continues; `runcast --server {bare} follow {only(store).id}` follows it" in err
    )
    assert server.token not in err
    assert only(store).state is State.RUNNING


def test_reader_leaves(server: Server, store: Store):
    """`runcast run --server … | head` stops the run, as a pipeline does."""
    run = f"{RUNCAST} run --server '{server.url}' -- yes 2>/dev/null | head -1"
    done = subprocess.run(["sh", "-c", run], capture_output=True, timeout=LONG, check=True)

    assert done.stdout == b"y\n"
    assert only(store).wait(timeout=LONG) is not None


def test_looking(server: Server, store: Store):
    """ls, log, follow, wait and rm do there what they do here, `last` and parts of ids included."""
    run = store.start(["sh", "-c", "echo out; echo err >&2; exit 3"], name="label")
    run.wait()

    assert there(server, "ls").out.decode().splitlines()[1].split()[:3] == [run.id, "exit", "3"]
    assert "label: sh -c" in there(server, "ls").out.decode()
    listed = json.loads(there(server, "ls", "--json").out)
    assert (listed["id"], listed["outcome"]["code"]) == (run.id, 3)
    assert there(server, "log", "last") == (0, b"out\n", "err\n")
    assert there(server, "log", "--bytes", 4, run.id[-5:]).err == "err\n"
    assert there(server, "follow", "--channel", "stdout", "--exit-status", run.id) == (3, b"out\n", "")
    assert there(server, "wait", "last").code == 3
    assert there(server, "rm", "last") == (0, b"", "")
    assert there(server, "ls") == (0, b"", f"runcast: no runs in the server {server.url.partition('?')[0]}\n")
    gone = there(server, "log", run.id)
    assert gone.code == 2
    assert f"no run '{run.id}' in the server" in gone.err


def test_log_does_not_wait(server: Server, store: Store):
    """log prints what there is of a run that goes on, and ends."""
    run = store.start(["sh", "-c", FOREVER])
    wait_until(lambda: run.tail_offset == 6, what="output")

    assert there(server, "log", "last") == (0, b"ready\n", "")


def test_stopping(server: Server, store: Store):
    """stop, kill, wait --timeout and rm --force work on runs that go on."""
    runs = [store.start(["sh", "-c", FOREVER]) for _ in range(3)]

    late = there(server, "wait", "--timeout", "0.1", runs[0].id)
    assert (late.code, late.err) == (
        124,
        f"runcast: run {runs[0].id} is still running after 0.1 s; it continues\n",
    )
    assert there(server, "stop", runs[0].id).code == 0
    assert there(server, "kill", runs[1].id).code == 0
    assert [run.closed or run.outcome is not None for run in runs] == [True, True, False]
    assert there(server, "stop", runs[0].id).code == 2
    assert there(server, "rm", runs[2].id).code == 2
    assert there(server, "rm", "--force", runs[2].id) == (0, b"", "")
    assert there(server, "rm", "--all-finished") == (0, b"", "")
    assert list(store.list()) == []


def test_pinning(server: Server, store: Store):
    """pin and unpin work on runs of a server, and rm and ls heed them."""
    run = store.start(["true"])
    run.wait(timeout=LONG)

    assert there(server, "pin", run.id) == (0, b"", "")
    assert run.pinned
    assert b"exit 0, pinned" in there(server, "ls").out
    assert json.loads(there(server, "ls", "--json").out)["pinned"] is True
    assert there(server, "rm", run.id).err == (
        f"runcast: run {run.id} is pinned: unpin it first, then remove it\n"
    )
    assert there(server, "unpin", run.id) == (0, b"", "")
    assert there(server, "pin", run.id) == (0, b"", "")
    assert there(server, "rm", "--force", run.id) == (0, b"", "")


def test_sharing(server: Server, store: Store):
    """share prints a link that reads a run, which follow takes as it is, and does nothing else."""
    run = store.start(["echo", "hello"])
    run.wait(timeout=LONG)

    done = there(server, "share", "--expires", "2h", run.id)
    assert done.code == 0
    url, page = done.out.decode().rstrip("\n"), f"http://{server.host}:{server.port}/runs/{run.id}?share="
    assert url.startswith(page)
    expires = datetime.fromtimestamp(int(url.partition("share=")[2].partition(".")[0])).astimezone()
    assert 7000 < expires.timestamp() - time.time() <= 7200
    assert done.err == (
        f"runcast: it reads run {run.id}, and does nothing else, until {expires:%Y-%m-%d %H:%M:%S %Z}\n"
        "runcast: only this machine reaches that address: for others `runcast serve --host 0.0.0.0`, "
        "or name the address of your proxy with --server\n"
    )
    assert cli("follow", url) == (0, b"hello\n", "")

    assert there(server, "share", "--expires", "5s", run.id).err == (
        'runcast: expected "expires" as a duration from 1m to 365d, such as "7d", got 5.0\n'
    )
    # A server shows this store, so its runs have an address here, too.
    here = cli("share", run.id)
    assert here.code == 0
    assert here.out.startswith(page.encode())


@pytest.mark.root  # containers may have no network
def test_share_with_others(store: Store):
    """Where other machines can connect, a link has an address that they reach, and works by it."""
    run = store.start(["echo", "hello"])
    run.wait(timeout=LONG)
    with serving("--host", "0.0.0.0") as server:
        done = cli("share", run.id)
        url = done.out.decode().strip()
        read = cli("follow", url)

    assert urlsplit(url).netloc == f"{own_address()}:{server.port}"
    assert done.err.count("\n") == 1
    assert read == (0, b"hello\n", "")


def test_follower_gives_up(store: Store):
    """Where the server is gone for longer than --patience, stderr has what continues, to the byte."""
    run = store.start(["sh", "-c", "echo one; read line; echo two"], stdin="pipe")
    with serving() as server:
        with cli_begun("follow", "--server", server.url, "--patience", "300ms", run.id) as process:
            assert process.stdout.read(4) == b"one\n"
            server.end()
            out, err = process.communicate(timeout=LONG)
    run.send("\n")
    run.wait(timeout=LONG)

    bare = shlex.quote(server.url.partition("?")[0])
    told = f"`runcast --server {bare} follow --offset 4 {run.id}` continues from here"
    assert (process.returncode, out) == (2, b"")
    assert "for more than 0.3 s" in err.decode()
    assert told in err.decode()
    with serving("--port", server.port) as back:
        env = {"RUNCAST_TOKEN": back.token}
        rest = cli(*shlex.split(told.strip("`").partition("`")[0])[1:], env=env)
    assert rest == (0, b"two\n", "")


def test_nowhere_to_share(tmp_path: Path):
    """A run of a store that no server shows has no address: that is said, with what to do."""
    with temporary_store(tmp_path / "own") as own:
        run = own.start(["true"])
        run.wait(timeout=LONG)
        done = cli("--store", own.path, "share", run.id)

    assert (done.code, done.out) == (2, b"")
    assert done.err == (
        f"runcast: expected a server that shows the store {own.path}, which has no address of its own: "
        "run `runcast serve`, or name a server with --server URL\n"
    )


def test_named_commands(store: Store, tmp_path: Path):
    """Where only named commands may be started, a name does; anything else is refused with the cure."""
    (tmp_path / "commands.toml").write_text(
        '[commands.hello]\ncommand = ["sh", "-c", "echo hello; exit 4"]\n'
    )
    with serving("--config", tmp_path / "commands.toml") as server:
        named = there(server, "run", "hello")
        refused = there(server, "run", "--", "ls", "-l")

    assert (named.code, named.out) == (4, b"hello\n")
    assert (refused.code, refused.out) == (2, b"")
    assert "--allow-any-command" in refused.err
    assert refused.err.endswith("; it starts hello\n")


def test_option_of_a_store(server: Server, store: Store):
    """What a server takes from no client is refused by its name as an option, before anything is started."""
    refused = there(server, "run", "--user", "root", "--", "true")

    assert refused.code == 2
    assert "expected --user with a store of this machine, the server http" in refused.err
    assert not list(store.ids())


def test_named_commands_at_a_terminal(store: Store, tmp_path: Path):
    """One with a terminal is typed into, and has the size of this one; one without is refused by name."""
    (tmp_path / "commands.toml").write_text(
        '[commands.ask]\ncommand = ["sh", "-c", "read a; stty size; exit 4"]\ntty = true\ncolumns = 50\n'
        '[commands.plain]\ncommand = "cat"\n'
    )
    for options in ([], ["--allow-any-command"]):
        with serving("--config", tmp_path / "commands.toml", *options) as server:
            at = ["run", "--server", server.url, "-it"]
            with terminal(*at, "ask", columns=77) as screen:
                wait_until(lambda: [run for run in store.list() if run.size and run.size.columns == 77], LONG)
                screen.type("\n")
                screen.until("24 77\n")
                assert screen.end() == 4
            with terminal(*at, "plain") as screen:
                assert screen.end() == 2
            assert "expected a command with a terminal, plain of the server" in screen.seen
            empty_store(store)


def test_where(server: Server, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The variable is enough; an option goes before it; two options are one too many."""
    run = store.start(["true"])
    run.wait()
    monkeypatch.setenv("RUNCAST_SERVER", server.url)
    other = tmp_path / "other"

    assert run.id in cli("ls", env={**os.environ, "RUNCAST_STORE": str(other)}).out.decode()
    assert cli("--store", str(other), "ls").out == b""
    assert run.id in cli("--server", server.url, "ls").out.decode()
    both = cli("--store", str(other), "ls", "--server", server.url)
    assert both.code == 2
    assert "expected --store or --server, got both" in both.err
    serve = cli("--server", server.url, "serve")
    assert (serve.code, serve.out) == (2, b"")


def test_nobody_there(store: Store):
    """A server that is not there is one line and exit code 2."""
    done = cli("run", "--server", "http://127.0.0.1:9/", "true")

    assert (done.code, done.out) == (2, b"")
    said = "nothing listens there: is `runcast serve` running?"
    assert done.err == f"runcast: cannot reach the server http://127.0.0.1:9/: {said}\n"


def test_wait_for(store: Store, server: Server):
    """`wait --for` prints the line, and exits with 1 where the run has ended without it."""
    run = store.start("echo one; echo ready on 8000", shell=True)

    assert there(server, "wait", run.id, "--for", "ready") == (0, b"ready on 8000\n", "")
    assert there(server, "wait", run.id, "--for", r"^on$", "--regex").code == 1
