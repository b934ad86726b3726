"""Who started, stopped and removed a run: in its record, its outcome, and the audit of the store."""

import json
import os
import pwd
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runcast import Run, Store
from runcast.acting import acting
from runcast.errors import RunActive
from runcast.retention.sweep import sweep
from runcast.store.audit import FILE
from runcast.who import Who
from tests.helpers.children import run_python
from tests.helpers.cli import LONG, cli

ME = pwd.getpwuid(os.getuid()).pw_name
ANA, BEN = Who("user", "ana"), Who("user", "ben")
FOREVER = ["sleep", "600"]


def audit(store: Store, name: str = FILE) -> list[dict[str, Any]]:
    """Return the lines of a store's audit."""
    lines = (Path(store.path) / name).read_text().splitlines()
    return [json.loads(line) for line in lines if line]


def told(store: Store) -> list[tuple[str, str, str]]:
    """Return verb, person and result of each line."""
    return [(line["verb"], line["who"]["name"], line["result"]) for line in audit(store)]


def test_by_python(store: Store):
    """What Python does is done by the user of its process."""
    run = store.start(["true"])
    run.wait(timeout=LONG)

    assert run.started_by == Who("python", ME)
    assert run.outcome.stopped_by is None
    assert run.to_json()["started_by"] == {"kind": "python", "name": ME}


def test_by_the_command_line(store: Store):
    """What `runcast` does is done by the user at it, in the record, the outcome, the audit and `ls`."""
    run_id = cli("run", "--detach", "--", *FOREVER).out.decode().strip()
    run = store.get(run_id)
    with acting(BEN):
        run.stop()
    run.wait(timeout=LONG)
    cli("rm", run_id)

    me = Who("command line", ME)
    assert run.started_by == me
    assert [(line["verb"], line["who"], line["run"]) for line in audit(store)] == [
        ("start", me.to_json(), run_id),
        ("stop", BEN.to_json(), run_id),
        ("delete", me.to_json(), run_id),
    ]


def wait_for_stop(stop: threading.Event) -> None:
    """Go on until there is a stop, which prints raise."""
    while not stop.wait(0.02):
        print(".", end="")


@pytest.mark.parametrize("source", [lambda: FOREVER, lambda: lambda: wait_for_stop(threading.Event())])
def test_stopped_by(store: Store, source: Callable[[], Any]):
    """The outcome has who stopped it first, whoever stops it again: of a command, of a function."""
    with acting(ANA):
        run = store.start(source())
    with acting(BEN):
        run.stop()
    outcome = run.wait(timeout=LONG, check=False)

    assert run.started_by == ANA
    assert outcome.stopped_by == BEN
    assert Run(f"{store.path}/{run.id}").to_json()["outcome"]["stopped_by"] == BEN.to_json()
    assert told(store) == [("start", "ana", "done"), ("stop", "ben", "done")]


def test_stopped_in_a_queue(store: Store):
    """A run that waits has who stopped it, too."""
    first = store.start(FOREVER, queue="q")
    second = store.start(FOREVER, queue="q")
    with acting(BEN):
        second.stop()

    assert second.wait(timeout=LONG, check=False).stopped_by == BEN
    first.kill()
    first.wait(timeout=LONG)


def test_ends_by_itself_while_stopped_by_its_limit(store: Store):
    """Where a limit stops it, nobody did."""
    run = store.start(FOREVER, timeout=0.05)

    assert run.wait(timeout=LONG, check=False).stopped_by is None


def test_changes(store: Store):
    """Pins, signals, input and a removal that is refused are lines; no input is in them."""
    with acting(ANA, "10.0.0.7"):
        run = store.start(["cat"], stdin="pipe")
        run.pin()
        run.unpin()
        for _ in range(3):
            run.send("hunter2\n")
        run.signal(18)
        with pytest.raises(RunActive):
            store.remove(run)
        run.send("", eof=True)
        run.wait(timeout=LONG)
        store.remove(run)

    verbs = [(line["verb"], line["result"]) for line in audit(store)]
    assert verbs == [
        *(("start", "done"), ("pin", "done"), ("unpin", "done"), ("send", "done"), ("signal", "done")),
        *(("delete", "RunActive"), ("delete", "done")),
    ]
    assert {line["peer"] for line in audit(store)} == {"10.0.0.7"}
    assert {line["name"] for line in audit(store)} == {"cat"}
    assert "hunter2" not in (Path(store.path) / FILE).read_text()


def test_swept(store: Store):
    """What a rule removes is removed by nobody, whoever's start it was that had it swept."""
    with acting(ANA):
        runs = [store.start(["true"], keep=1) for _ in range(2)]
    for run in runs:
        run.wait(timeout=LONG)
    with acting(BEN):
        sweep(store.path, every=0, quiet=0)

    assert ("delete", "", "done") in told(store)


def test_masked(store: Store):
    """A secret in a name is in no line."""
    run = store.start(["true"], name="deploy hunter2", mask=["hunter2"])
    run.wait(timeout=LONG)

    assert [line["name"] for line in audit(store)] == ["deploy ***"]


def test_ls(store: Store):
    """`ls` says who it was, where that was somebody else than the one who looks."""
    store.start(["true"]).wait(timeout=LONG)
    assert "BY" not in cli("ls").out.decode()
    with acting(ANA):
        run = store.start(FOREVER)
    with acting(BEN):
        run.stop()
    run.wait(timeout=LONG)

    first, second, third = cli("ls").out.decode().splitlines()
    assert "  BY " in first
    assert "  stopped by ben  " in second
    assert "  ana " in second
    assert "ana" not in third
    assert ME not in third


@pytest.mark.slow
def test_many_processes(store: Store):
    """Lines that processes append at once are all there, each whole, also where files move on."""
    code = (
        "import os\nfrom runcast.store import audit\nfrom runcast.who import Who\n"
        "audit._BYTES, audit._KEPT = 20_000, 20\n"
        "begun = []\n"
        "while len(begun) < 7 and 0 not in begun:\n"
        "    begun.append(os.fork())\n"
        "for number in range(200):\n"
        f"    audit.audit_line({store.path!r}, str(number), str(os.getpid()), who=Who('user', 'x'))\n"
        "if 0 not in begun:\n"
        "    assert {os.waitpid(child, 0)[1] for child in begun} == {0}\n"
    )
    os.mkdir(store.path)
    run_python(code)

    found = [
        (line["run"], int(line["verb"])) for name in os.listdir(store.path) for line in audit(store, name)
    ]
    pids = {run for run, _ in found}
    assert len(pids) == 8
    assert sorted(found) == sorted((pid, number) for pid in pids for number in range(200))
