"""`runcast ls`: the runs of a store."""

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.ids import new_run_id
from runcast.run.base import files_of
from tests.helpers.cli import LONG, cli, cli_begun, terminal

ROW = re.compile(r"(\w{26})  (.+?) {2,}(\S+ \S+) ago {2,}(-|\S+ \S+) {2,}(\S+ \w+) {2,}(.*)")


def finished(store: Store, command: list[str], **options: object) -> Run:
    run = store.start(command, **options)
    run.wait(timeout=LONG)
    return run


def rows(out: bytes) -> list[tuple[str, ...]]:
    """Return id, state, age, duration, size and command of each line of a table."""
    head, *lines = out.decode().splitlines()
    assert head.split() == ["ID", "STATE", "STARTED", "TOOK", "SIZE", "COMMAND"]
    matches = [ROW.fullmatch(line) for line in lines]
    assert all(matches), out
    return [match.groups() for match in matches if match]


def test_newest_first(store: Store):
    """Runs are listed newest first, each with its outcome, size and command."""
    runs = [
        finished(store, ["echo", "hello world"]),
        finished(store, ["sh", "-c", "exit 3"]),
        finished(store, ["sh", "-c", "kill -9 $$"]),
        finished(store, ["no-such-program"]),
        finished(store, ["sleep", "1000"], timeout=0.01),
        store.start(["sleep", "1000"], name="nightly"),
    ]
    runs[5].stop()
    runs[5].wait(timeout=LONG)
    runs.append(store.start(["sleep", "1000"]))
    assert runs[6].pid

    done = cli("ls")

    assert (done.code, done.err) == (0, "")
    listed = rows(done.out)
    assert [row[0] for row in listed] == [run.id for run in reversed(runs)]
    states = ["running", "stopped", "timed out", "failed to start", "SIGKILL", "exit 3", "exit 0"]
    assert [row[1] for row in listed] == states
    assert [row[5] for row in listed] == [
        *("sleep 1000", "nightly: sleep 1000", "sleep 1000", "no-such-program"),
        *("sh -c 'kill -9 $$'", "sh -c 'exit 3'", "echo 'hello world'"),
    ]
    assert [row[4] for row in listed] == ["0 B"] * 6 + ["12 B"]
    assert listed[3][3] == "-"


@pytest.mark.slow
def test_limit(store: Store):
    """`-n` lists so many, `--all` lists all; the default is 20, and to have left some out is said."""
    for number in range(22):
        store.start(["echo", str(number)])

    assert [row[5] for row in rows(cli("ls", "-n", "3").out)] == ["echo 21", "echo 20", "echo 19"]
    newest = cli("ls")
    assert len(rows(newest.out)) == 20
    assert newest.err == "runcast: these are the newest 20: --all lists all, -n N so many\n"
    assert [cli("ls", "--json").err, cli("ls", "-n", "20").err] == [newest.err, ""]
    assert len(rows(cli("ls", "--all", "-n", "3").out)) == 22


def test_only_what_is_listed_is_read(store: Store):
    """However many runs there are, only those that are listed are looked at: others may be rubbish."""
    for _ in range(50):
        os.makedirs(f"{store.path}/{new_run_id()}")
    newest = finished(store, ["true"])

    done = cli("ls", "-n", "1")
    assert [row[0] for row in rows(done.out)] == [newest.id]
    assert done.err == ""
    assert cli("ls", "-n", "3").err.count("is damaged: run.json: it is missing") == 2


def test_json(store: Store):
    """`--json` gives one JSON object a line, as the library has it."""
    runs = [finished(store, ["echo", "a"]), finished(store, ["echo", "b\n\x1b"])]

    lines = cli("ls", "--json").out.splitlines()

    assert [json.loads(line) for line in lines] == [
        run.to_json() | {"disk_bytes": run.disk_bytes} for run in reversed(runs)
    ]


@pytest.mark.slow
def test_truncated(store: Store):
    """A run whose output was cut by its cap says so."""
    finished(store, ["head", "-c", "8000000", "/dev/zero"], cap=2 << 20)

    assert rows(cli("ls").out)[0][1] == "exit 0, truncated"


def test_dropped(store: Store):
    """A run whose output could not all be written says how much is missing."""
    run = finished(store, ["true"])
    path = Path(files_of(run).path, "outcome.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dropped": 3 << 20}))

    assert rows(cli("ls").out)[0][1] == "exit 0, 3.0 MiB dropped"


def test_control_codes_are_shown(store: Store):
    """A command or a name cannot draw on the terminal, nor make two lines of one."""
    run = finished(store, ["echo", "\x1b[31mred\n\u202e"], name="a\rb\x9b")

    (row,) = rows(cli("ls").out)
    assert row[5] == r"a\rb\x9b: echo '\x1b[31mred\n\u202e'"
    assert run.name == "a\rb\x9b"


def test_width_of_a_terminal(store: Store):
    """At a terminal, lines are cut to its width."""
    finished(store, ["echo", "x" * 500])

    with terminal("ls", columns=90) as screen:
        assert screen.end() == 0
    head, line = screen.seen.splitlines()
    assert len(line) == 90
    assert line.endswith("x…")
    assert len(head) <= 90


def test_damaged_run(store: Store):
    """A run whose files are damaged is marked, what is wrong is told, and the others are listed."""
    good, bad = finished(store, ["true"]), finished(store, ["true"])
    Path(files_of(bad).path, "run.json").write_text("")

    wrong = "run.json: expected a JSON object, it is empty"
    done = cli("ls")
    assert done.code == 0
    assert good.id.encode() in done.out
    assert f"{bad.id}  exit 0, damaged".encode() in done.out
    assert done.err == f"runcast: run {bad.id} is damaged: {wrong}\n"

    told = [json.loads(line) for line in cli("ls", "--json").out.splitlines()]
    assert [(run["id"], run.get("damaged")) for run in told] == [(bad.id, wrong), (good.id, None)]

    assert cli("log", bad.id) == cli("log", good.id)
    assert cli("rm", bad.id) == (0, b"", "")
    assert bad.id.encode() not in cli("ls").out


def test_no_runs(store: Store):
    """A store without runs, or that is not there yet, is told, and nothing is made."""
    done = cli("ls")

    assert done == (0, b"", f"runcast: no runs in the store {store.path}\n")
    assert not os.path.exists(store.path)
    assert cli("ls", "--json") == (0, b"", "")


@pytest.mark.fault
def test_lost(store: Store):
    """A run whose supervisor died is listed as lost."""
    run = store.start(["sleep", "1000"])
    with cli_begun("follow", run.id):
        for chunk in run.follow(timeout=0.01):
            if files_of(run).state().get("supervisor"):
                break
            assert chunk is None
    os.kill(files_of(run).state()["supervisor"], 9)
    cli("wait", run.id)

    assert rows(cli("ls").out)[0][1] == "lost"


def test_reader_left(store: Store):
    """`runcast ls | head` that has seen enough ends us without a word."""
    finished(store, ["true"])
    reading, writing = os.pipe()
    os.close(reading)

    done = cli("ls", stdout=writing)
    os.close(writing)

    assert (done.code, done.err) == (141, "")


def test_removed_meanwhile(store: Store):
    """A run that is removed while it is listed is passed over."""
    runs = [finished(store, ["echo", shlex.quote(str(number))]) for number in range(3)]
    listed = store.list()
    shutil.rmtree(files_of(runs[1]).path)

    assert len(list(listed)) == 3
    assert len(rows(cli("ls").out)) == 2


def fails() -> None:
    """Raise."""
    raise ValueError("hunter2")


def test_functions(store: Store):
    """A function has its name, also in a process of its own; who lists a store has its traceback, too."""
    for process in (False, True):
        store.start(fails, process=process, traceback=False).wait(LONG)

    listed = cli("ls")
    told = [json.loads(line) for line in cli("ls", "--json").out.splitlines()]

    assert [row[-1] for row in rows(listed.out)] == ["function fails"] * 2
    assert ["hunter2" in one["outcome"]["traceback"] for one in told] == [True, True]


def test_disk(store: Store):
    """`--disk` prints how much disk the runs of each name take, the most first, and all of them together."""
    for name, size in (("small", 1), ("large", 200_000), ("large", 200_000)):
        run = store.start(["head", "-c", str(size), "/dev/zero"], name=name)
        run.wait()
        assert len(b"".join(chunk.data for chunk in run.follow())) == size
    taken = {run.id: run.disk_bytes or 0 for run in store.list()}

    shown = [json.loads(line) for line in cli("ls", "--disk", "--json").out.splitlines()]
    assert [(one["name"], one["runs"]) for one in shown] == [("large", 2), ("small", 1)]
    assert sum(one["disk_bytes"] for one in shown) == sum(taken.values()) >= 400_000
    head, *lines = cli("ls", "--disk").out.decode().splitlines()
    assert head.split() == ["DISK", "RUNS", "NAME"]
    assert [line.split()[-2:] for line in lines] == [["2", "large"], ["1", "small"], ["3", "all"]]
    listed = [json.loads(line) for line in cli("ls", "--json").out.splitlines()]
    assert {one["id"]: one["disk_bytes"] for one in listed} == taken


def test_name_that_is_the_command(store: Store):
    """A run whose name is its command has it once."""
    for name in ("echo it is", "echo 'it is'", "other"):
        finished(store, ["echo", "it is"], name=name)

    assert [row[5] for row in rows(cli("ls").out)] == ["other: echo 'it is'", *["echo 'it is'"] * 2]
