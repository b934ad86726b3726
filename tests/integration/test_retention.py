"""What stays of finished runs: by the rule of a start, of a store, and by hand."""

import contextlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

import runcast
from runcast import Store
from runcast.errors import RunNotFound, UsageError
from runcast.keep import Keep
from runcast.retention import sweep as sweeps
from runcast.web.wsgi import RunsWSGI
from tests.helpers.cli import LONG, cli, cli_begun
from tests.helpers.wait import wait_until
from tests.unit.runs import make_run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _at_each_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each start of this process sweep, and take what has just ended."""
    monkeypatch.setattr(sweeps, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(sweeps, "QUIET_SECONDS", 0.0)


def start(store: Store, source: object = ("true",), **options: object) -> str:
    """Start something, see it end and the sweep that it began; return its id."""
    run = store.start(list(source) if isinstance(source, tuple) else source, **options)  # type: ignore[arg-type]
    finish_sweeps()
    run.wait()
    for _ in run.follow():
        pass  # to the closing of its log, a moment later
    return run.id


def finish_sweeps() -> None:
    """Wait for the sweeps that this process has begun."""
    wait_until(lambda: all(thread.name != "runcast sweeps" for thread in threading.enumerate()), timeout=LONG)


def make_old(run: Path) -> None:
    """Have a finished run be an hour old, and of a time before the machine was restarted."""
    value = json.loads((run / "run.json").read_text())
    value["origin"]["boot"] = "an earlier one"
    (run / "run.json").write_text(json.dumps(value))
    os.utime(run / "outcome.json", (time.time() - 3600,) * 2)


def ids(store: Store) -> set[str]:
    return set(store.ids())


def test_of_a_start(store: Store):
    """Of a name's runs that were started with a rule so many stay; others of that name are nobody's."""
    without = start(store, name="nightly")
    first, second, third = (start(store, name="nightly", keep=2) for _ in range(3))
    other = start(store, name="weekly", keep=1)

    assert ids(store) == {without, second, third, other}
    assert first not in ids(store)


@pytest.mark.parametrize("kind", ["function", "process", "generator", "recorded"])
def test_of_any_source(store: Store, kind: str):
    """Functions, generators and recorded blocks have rules as commands do."""
    kept = []
    for _ in range(3):
        if kind == "recorded":
            with runcast.attach("job", store=store, keep=1) as run:
                print("seen")
            finish_sweeps()
            kept.append(run.id)
        elif kind == "generator":
            kept.append(start(store, iter(["seen"]), name="job", keep=1, ahead=None))
        else:
            kept.append(start(store, print, name="job", keep=1, process=kind == "process"))

    assert ids(store) == {kept[-1]}


def test_again(store: Store):
    """A run that is started again has the same rule."""
    first = start(store, name="nightly", keep=["1"])
    again = store.rerun(store.get(first))
    again.wait()

    assert again.request["keep"] == {"runs": 1}
    finish_sweeps()
    assert ids(store) == {again.id}


def test_just_over(store: Store, monkeypatch: pytest.MonkeyPatch):
    """What ended less than a minute ago stays: who started it may look at it only now."""
    monkeypatch.setattr(sweeps, "QUIET_SECONDS", 60.0)
    kept = {start(store, name="nightly", keep=1) for _ in range(3)}

    assert ids(store) == kept


def test_of_a_store(store: Store):
    """A store that keeps so many removes all others that are over, whoever started them, at a start."""
    for _ in range(3):
        start(store)
    pinned = store.get(start(store))
    pinned.pin()
    going_on = store.start(["sleep", "1000"])
    keeping = Store.open(store.path, keep="2")
    last = start(keeping)

    assert ids(store) == {pinned.id, going_on.id, last}
    going_on.kill()


@pytest.mark.parametrize("keep", ["soon", 0, [1, 2], "0d"])
def test_wrong(store: Store, keep: object):
    """What is no rule is refused before anything is started, and so is one for a store."""
    for act in (lambda: store.start(["true"], keep=keep), lambda: Store.open(store.path, keep=keep)):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="expected keep as a number of runs"):
            act()
    assert not ids(store)


def test_many_at_once(store: Store):
    """However many start runs of one name at once, the newest stay and no start fails."""
    begun: list[str] = []

    def many() -> None:
        for _ in range(10):
            begun.append(store.start(["true"], name="many", keep=3).id)
            finish_sweeps()

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in store.list():
        with contextlib.suppress(RunNotFound):  # another sweep could take it as soon as it was over
            assert list(run.follow()) == []
    last = start(store, name="many", keep=3)

    assert len(begun) == 40
    assert ids(store) == {last, *sorted(begun)[-2:]}


def test_command_line(store: Store):
    """`runcast run --keep` sweeps before it exits, however short its run is, also with --detach."""
    for number in range(4):
        options = ["--detach"] if number % 2 else []
        assert cli("--store", store.path, "run", "--keep", "1", "--keep", "7d", *options, "true").code == 0
        for run in store.list():
            assert list(run.follow()) == []  # to the closing of its log
            make_old(Path(store.path, run.id))
        (Path(store.path) / "kept" / ".lock").unlink()  # made by each: the next need not wait for a minute
    assert len(ids(store)) == 1
    assert next(iter(store.list())).request["keep"] == {"runs": 1, "seconds": 7 * 86400}


def test_prune(own_store: Path):
    """`runcast prune` removes what is beyond a bound, prints it, and with --dry-run only prints."""
    store = Store(str(own_store))
    runs = [make_run(own_store) for _ in range(4)]
    runs.sort(reverse=True)

    def prune(*words: str) -> list[str]:
        done = cli("--store", store.path, "prune", *words)
        assert done.code == 0, done.err
        return done.out.decode().split()

    assert prune("--keep", "2", "--dry-run") == [runs[3], runs[2]]
    assert ids(store) == set(runs)
    store.get(runs[3]).pin()
    assert prune("--keep", "2") == [runs[2]]
    assert prune("--older-than", "1d") == []
    assert prune("--max-size", "1", "--name", "none of them") == []
    assert prune("--max-size", "1") == [runs[1]]
    assert ids(store) == {runs[0], runs[3]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected at least one of --keep, --older-than and --max-size"),
        (["--keep", "0"], "expected a whole number of 1 or more, got '0'"),
        (["--older-than", "soon"], "expected a duration"),
        (["--server", "http://127.0.0.1:1", "--keep", "1"], "expected a store of this machine"),
    ],
)
def test_prune_refuses(store: Store, words: list[str], message: str):
    """Without a bound, or with one that has no meaning, nothing is removed."""
    done = cli("--store", store.path, "prune", *words) if "--server" not in words else cli("prune", *words)

    assert done.code == 2
    assert message in done.err


def test_server(own_store: Path):
    """A server removes what its rule leaves, although nothing is started."""
    runs = sorted(make_run(own_store) for _ in range(4))
    for run_id in runs[:3]:
        os.utime(own_store / run_id / "outcome.json", (time.time() - 3600,) * 2)
    store = Store(str(own_store))
    with cli_begun("--store", store.path, "serve", "--port", "0", "--keep", "1", "--keep", "30m"):
        wait_until(lambda: len(ids(store)) == 1, timeout=LONG)

    assert ids(store) == {runs[3]}


def test_server_of_nothing_yet(tmp_path: Path):
    """A server with a rule, in whose folder nothing ran yet, leaves a store there that the next one opens."""
    folder = tmp_path / "store"
    with cli_begun("--store", folder, "serve", "--port", "0", "--keep", "1"):
        wait_until((folder / "kept").exists, timeout=LONG)

    assert list(Store.open(folder).list()) == []


def test_application(store: Store):
    """An application's store has the rule that its adapter was given."""
    cast = RunsWSGI(store=store.path, keep=[5, "1d"])
    assert cast.store.keep == Keep(5, 86400)

    with pytest.raises(UsageError, match="got it with a Store"):
        RunsWSGI(store=store, keep=5)
