"""Which runs of viewers are swept."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.errors import UsageError
from runcast.ids import ALPHABET, new_run_id
from runcast.log import RunDirectory
from runcast.web import viewed
from runcast.web.viewed import KEEP_VIEWED, Keep, keep_of, note_viewed, sweep
from tests.unit.runs import make_run

DAY = 24 * 3600
Make = Callable[..., Run]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing swept but by the tests."""
    monkeypatch.setattr(viewed, "EVERY", 10**9)


@pytest.fixture(name="make")
def make_fixture(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Give a function that makes a finished run of a view, so many seconds old; or of none."""
    store = Store(str(own_store))

    def make(view: str | None = "view", *, age: float = 3600, keep: Keep = KEEP_VIEWED) -> Run:
        run = store.get(make_run(own_store, id_at(time.time() - age)))
        os.utime(f"{run.directory.path}/outcome.json", (time.time() - age,) * 2)
        if view is not None:
            monkeypatch.setitem(viewed._due, store.path, time.monotonic() + 10**6)
            note_viewed(store, view, run, keep)
        return run

    return make


def id_at(when: float) -> str:
    """Return an id that was minted at a time, in seconds since the epoch."""
    milliseconds = int(when * 1000)
    return "".join(ALPHABET[milliseconds >> shift & 31] for shift in range(45, -1, -5)) + new_run_id()[10:]


def left(store: Path) -> set[str]:
    return {run.id for run in Store(str(store)).list()}


def swept(store: Path, *, quiet: float = 60) -> int:
    return sweep(Store(str(store)), every=0, quiet=quiet)


def test_newest_of_each_view(own_store: Path, make: Make):
    """So many of each view stay, the newest; what no viewer started stays, too."""
    keep = Keep(2, DAY)
    runs = {view: [make(view, age=1000 + at, keep=keep) for at in range(5)] for view in ("one", "two")}
    others = [make(None, age=at * DAY) for at in range(5)]

    assert swept(own_store) == 6
    assert left(own_store) == {run.id for run in (*runs["one"][:2], *runs["two"][:2], *others)}
    assert swept(own_store) == 0


def test_age(own_store: Path, make: Make):
    """What ended longer ago than is kept goes, however few there are; its end counts, not its start."""
    young, old, long = make(age=DAY - 60), make(age=DAY + 60), make(age=DAY + 60)
    os.utime(f"{long.directory.path}/outcome.json")

    assert swept(own_store) == 1
    assert left(own_store) == {young.id, long.id}
    assert old.id not in left(own_store)


def test_all_views_together(own_store: Path, make: Make):
    """Views whose names hold a part of the URL fill no disk either: ten times as many stay in all."""
    keep = Keep(1, DAY)
    runs = [make(f"/stream/{at}", age=1000 + at, keep=keep) for at in range(15)]

    assert swept(own_store) == 5
    assert left(own_store) == {run.id for run in runs[:10]}


def test_each_has_what_its_application_keeps(own_store: Path, make: Make):
    """Applications that share a store sweep by what each of them says, whichever does it."""
    few = [make("view", keep=Keep(1, DAY), age=1000 + at) for at in range(3)]
    many = [make("view", keep=Keep(9, DAY), age=1000 + at) for at in range(3)]

    assert swept(own_store) == 2
    assert left(own_store) == {few[0].id, *(run.id for run in many)}


def test_running(own_store: Path):
    """A run that goes on stays, however old."""
    run_id = id_at(time.time() - 9 * DAY)
    own_store.mkdir(mode=0o700, exist_ok=True)
    asked = {"format": 1, "id": run_id, "name": "x", "source": "command", "command": ["x"], "created_at": 1.0}
    directory = RunDirectory.create(str(own_store / run_id), asked)
    assert directory.acquire()
    directory.write_state({"state": "running"})
    store = Store(str(own_store))
    note_viewed(store, "view", store.get(run_id), Keep(0, 1))

    assert swept(own_store, quiet=0) == 0
    assert left(own_store) == {run_id}
    directory.release()


def test_reader(own_store: Path, make: Make):
    """A run that somebody reads stays until they have closed it."""
    run = make(keep=Keep(0, DAY))
    log = run.open_log()
    first = log.read(0, 4)

    assert swept(own_store) == 0
    assert log.read(first.next).next == log.tail_offset
    log.close()
    assert swept(own_store) == 1
    assert left(own_store) == set()


@pytest.mark.parametrize("near", ["ended", "watched"])
def test_quiet(own_store: Path, make: Make, near: str):
    """Who has just ended, or been watched, stays a while: a viewer may be reloading."""
    run = make(keep=Keep(0, DAY), age=90 if near == "watched" else 30)
    if near == "watched":
        run.directory.touch_watched()

    assert swept(own_store) == 0
    assert swept(own_store, quiet=0) == 1


def test_once_a_minute(own_store: Path, make: Make):
    """All processes together sweep so often at most."""
    make(keep=Keep(0, DAY))
    store = Store(str(own_store))
    assert sweep(store, every=60, quiet=60) == 1

    make(keep=Keep(0, DAY))
    assert sweep(store, every=60, quiet=60) == 0
    os.utime(own_store / "viewed" / ".lock", (time.time() - 61,) * 2)
    assert sweep(store, every=60, quiet=60) == 1


def test_nothing_is_left_behind(own_store: Path, make: Make):
    """The index forgets what was removed, also by others, and views without runs."""
    store = Store(str(own_store))
    runs = [make(view, keep=Keep(0, DAY)) for view in ("one", "two")]
    store.remove(runs[0])

    assert swept(own_store) == 1
    assert swept(own_store) == 0
    assert os.listdir(own_store / "viewed") == [".lock"]
    make("one")
    assert len(os.listdir(own_store / "viewed")) == 2


def test_appended_while_swept(tmp_path: Path):
    """No line is lost, whoever takes lines and files away while others append."""
    path = str(tmp_path / "viewed" / "index")
    written: list[list[str]] = [[new_run_id() for _ in range(100)] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda ids=ids: [viewed._append(path, one) for one in ids]) for ids in written
    ]
    left = {one for ids in written for one in ids}
    for thread in threads:
        thread.start()
    while left:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            there = set(viewed._ids(file.fileno()))
            assert there <= left
            viewed._take_out(path, there)
            left -= there
    for thread in threads:
        thread.join()

    assert os.listdir(tmp_path / "viewed") == []


def test_damage(own_store: Path, make: Make):
    """What stands in the index and is none of ours, or a damaged run, is in nobody's way."""
    damaged, good = make(keep=Keep(0, DAY)), make(keep=Keep(0, DAY))
    (Path(damaged.directory.path) / "outcome.json").write_bytes(b"{")
    index = next((own_store / "viewed").glob("0-*"))  # half lines, of who was killed or found no room
    index.write_bytes(b"\n01m8jd\xff" + index.read_bytes() + b"not an id\n\n01m8jd")
    (own_store / "viewed" / "folder").mkdir()
    (own_store / "viewed" / ("2-2-" + "0" * 32)).mkdir()
    os.mkfifo(own_store / "viewed" / ("3-3-" + "0" * 32))
    (own_store / "viewed" / ("1-1-" + "0" * 32)).symlink_to("/")

    swept(own_store)

    assert good.id not in left(own_store)


@pytest.mark.parametrize(
    ("value", "keep"),
    [
        (None, None),
        ((100, "1d"), KEEP_VIEWED),
        ([5, 90], Keep(5, 90)),
        ((0, "1h30m"), Keep(0, 5400)),
        ((1, 0.25), Keep(1, 1)),
    ],
)
def test_option(value: object, keep: Keep | None):
    """`keep_viewed=` is a number of runs and a time, or None."""
    assert keep_of(value) == keep


@pytest.mark.parametrize(
    "value",
    [
        *(100, "100", (100,), (100, "1d", 2), (-1, "1d"), (True, "1d"), (1.5, "1d"), ("100", "1d"), (1, 0)),
        *((1, "soon"), (1, None), (1, -5), (1, float("inf")), {"runs": 1}, (10**9, 1), (1, 10**12)),
    ],
)
def test_wrong_option(value: object):
    """Anything else is refused with what was expected."""
    with pytest.raises(UsageError, match="expected keep_viewed= as a number of runs and a time"):
        keep_of(value)
