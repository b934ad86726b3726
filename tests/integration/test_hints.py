"""The hint for a silent run, by what its processes are, in each place where it is seen."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.client import Client
from tests.helpers.cli import cli, cli_begun, terminal
from tests.helpers.servers import Server
from tests.helpers.wait import MS, wait_until

pytestmark = pytest.mark.slow

LONG = 20000 * MS
READS = "import sys; print(sys.stdin.read())"
GREP = "grep holds its lines back while the output is a pipe: grep --line-buffered; or start the run"
WITH_HINT = {
    "grep": (["sh", "-c", "echo before; cat | grep x"], GREP),
    "two": (["sh", "-c", "sed -n p | tr a b"], "sed and tr hold their lines back"),
    "mawk": (["mawk", "{print}"], "mawk -W interactive"),
    "isolated": ([sys.executable, "-I", "-c", READS], "-I ignores PYTHONUNBUFFERED"),
    "cleared": (["env", "-i", sys.executable, "-c", READS], "runs without PYTHONUNBUFFERED"),
    "busybox": (["busybox", "sed", "p"], "busybox sed holds its lines back"),
    "make": (["sh", "-c", 'printf "all:\\n\\t@read x\\n" > m; make -O -f m'], "leave -O out"),
    "unknown": (["sh", "-c", "mkfifo f; exec ./unknown a b <>f"], "unknown may hold its output back"),
}
WITHOUT = {
    "python": [sys.executable, "-c", READS],
    "switch": ["sh", "-c", "cat | grep --line-buffered x"],
    "stdbuf": ["stdbuf", "-oL", "tr", "a", "b"],
    "interactive": ["mawk", "-W", "interactive", "{print}"],
    "cat": ["cat"],
    "to a file": ["sh", "-c", "grep x > file"],
    "after output": ["sh", "-c", "echo before; ./unknown a b"],
}


def begin(store: Store, command: list[str], **options: object) -> Run:
    """Start a command that waits for input, and wait until it has begun to."""
    run = store.start(command, stdin="pipe", **options)
    assert run.pid
    return run


def end(run: Run) -> None:
    run.send("", eof=True)
    run.wait(timeout=LONG)


def wait_for_looks(store: Store) -> None:
    """Wait until a run that is silent from when its hint is known has one as well: others looked twice."""
    [run] = wait_until(lambda: list(store.list()), LONG)
    for one in (run, begin(store, ["grep", "x"])):
        wait_until(lambda one=one: one.hint, LONG)
    end(one)


def test_programs(store: Store, tmp_path: Path):
    """Which program of a run holds output back is found among its processes; the others get no hint."""
    shutil.copy(shutil.which("tr") or "", tmp_path / "unknown")
    without = [begin(store, command, cwd=tmp_path, name=name) for name, command in WITHOUT.items()]
    with_hint = {name: begin(store, command, cwd=tmp_path) for name, (command, _) in WITH_HINT.items()}

    for name, run in with_hint.items():
        found = wait_until(lambda run=run: run.hint, LONG, f"a hint for {name}")
        assert WITH_HINT[name][1] in found, found
    assert {run.name: run.hint for run in without} == dict.fromkeys(WITHOUT)  # silent for longer than those

    for run in (*without, *with_hint.values()):
        run.kill()
        run.wait(timeout=LONG)
        assert run.hint is None


def test_at_terminals_of_runs(store: Store, tmp_path: Path):
    """On a terminal nothing is held back, and a pager that waits for a key has a hint of its own."""
    (tmp_path / "text").write_text("line\n" * 100)
    grep = store.start(["grep", "x"], tty=True)
    assert grep.pid
    less = store.start(["less", "text"], cwd=tmp_path, tty=True, env={"PAGER": "less"})

    assert wait_until(lambda: less.hint, LONG).startswith("less shows a page and waits for a key: q")
    assert grep.hint is None
    less.send("q")
    assert less.wait(timeout=LONG).ok
    grep.kill()


def test_line_buffered_needs_none(store: Store):
    """What the hint advises is the end of it: with `line_buffered` the same pipeline has none."""
    command = ["sh", "-c", "grep x | tr a b | perl -ne print"]
    cured = begin(store, command, line_buffered=True)
    held = begin(store, command)

    assert "grep, tr and perl hold" in wait_until(lambda: held.hint, LONG)
    assert cured.hint is None
    end(held)
    end(cured)


def test_damaged(store: Store):
    """A run whose log cannot be read is listed with what is wrong, and has no hint."""
    run = begin(store, ["sh", "-c", "echo before; cat | grep x"])
    wait_until(lambda: run.hint, LONG)
    [log] = Path(store.path, run.id, "log").glob("*0")
    log.rename(log.with_name("away"))
    log.mkdir()
    try:
        done = cli("ls")
        assert run.hint is None
        assert (done.code, run.id.encode() in done.out) == (0, True)
        assert "is damaged" in done.err
    finally:
        log.rmdir()
        log.with_name("away").rename(log)
        end(run)


def test_over_http(store: Store, own_store: Path, serving: Callable[[str, Path], Server]):
    """A server has it in the run's JSON and in the list, and a client knows it once it has asked."""
    server = serving("uvicorn", own_store)
    run = begin(store, ["sh", "-c", "cat | grep x"])
    with Client(server.root) as client:
        first = client.get(run.id)
        seen = wait_until(lambda: client.get(run.id).hint, LONG)
        [listed] = client.list()
        code, out, _ = cli("ls", "--json", "--server", server.root)

        assert seen.startswith(GREP)
        assert listed.hint == json.loads(out)["hint"] == seen
        assert code == 0
        end(run)
        first.wait()
        assert first.hint is None
        assert "hint" not in client.get(run.id).to_json()


def test_at_a_terminal(store: Store):
    """`runcast run` says it once, behind what was printed; `runcast ls` says it while the run goes on."""
    with terminal(
        "run", "-i", "--shell", "echo one; grep x; echo two >&2; tail -f /dev/null | grep y"
    ) as screen:
        screen.until(f"one\nruncast: {GREP}")
        [run] = store.list()
        with terminal("ls", columns=300) as listing:
            assert listing.end() == 0
            assert f"runcast: run {run.id}: {GREP}" in listing.seen
            assert ", silent" in listing.seen
        assert b", silent" in cli("ls").out
        assert cli("ls").err == ""
        screen.type("\x04")
        screen.until("two\n")
        wait_for_looks(store)
        run.kill()
        screen.end()

    assert screen.seen.count("holds its lines back") == 1


@pytest.mark.parametrize(
    ("options", "command"), [(["-q"], "grep x"), ([], "printf 'name? '; grep x")], ids=["quiet", "a prompt"]
)
def test_not_said(store: Store, options: list[str], command: str):
    """There is no hint with `--quiet`, nor behind a line that has not ended."""
    with terminal("run", *options, "-i", "--shell", command) as screen:
        wait_for_looks(store)
        screen.type("\x04")
        screen.end()

    assert "holds its lines back" not in screen.seen


def test_said_of_a_question(store: Store):
    """Where nobody can answer a question from here, because only `-it` gives keys, it is said how to."""
    with terminal("run", "-t", "--shell", "printf 'name? '; read name; echo $name; sleep 600") as screen:
        [run] = wait_until(lambda: list(store.list()), LONG)
        screen.until(f"name? \nruncast: it may be waiting for input: `runcast attach {run.id}` types into it")
        run.send("Ada\n")
        screen.until(lambda seen: seen.count("Ada") == 2)
        run.kill()
        screen.end()

    assert screen.seen.count("may be waiting") == 1


def test_said_to_a_person_only(store: Store):
    """Nothing is said on a stderr that is no terminal."""
    with cli_begun("run", "-i", "--", "grep", "x", stdin=subprocess.PIPE) as process:
        wait_for_looks(store)
        assert process.communicate(b"x\n", LONG) == (b"x\n", b"")
