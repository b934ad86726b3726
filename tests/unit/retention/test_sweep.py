"""Which runs are swept by the rules that they were started with."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.ids import ALPHABET, new_run_id
from runcast.keep import Keep
from runcast.retention import sweep as sweeps
from runcast.retention.sweep import sweep
from runcast.run.base import files_of
from runcast.store.kept import NAME, VIEW, KeptFiles
from runcast.store.run_files import RunFiles
from tests.unit.runs import make_run

DAY = 24 * 3600
HUNDRED = Keep(100, DAY)
Make = Callable[..., Run]


@pytest.fixture(name="make")
def make_fixture(own_store: Path) -> Make:
    """Give a function that makes a finished run of a view, so many seconds old; of none, or of a name."""
    store = Store(str(own_store))

    def make(view: str | None = "view", *, age: float = 3600, keep: Keep = HUNDRED, kind: str = VIEW) -> Run:
        run = store.get(make_run(own_store, id_at(time.time() - age)))
        os.utime(f"{files_of(run).path}/outcome.json", (time.time() - age,) * 2)
        if view is not None:
            KeptFiles(store.path).note(kind, view, run.id, keep)
        return run

    return make


def id_at(when: float) -> str:
    """Return an id that was minted at a time, in seconds since the epoch."""
    milliseconds = int(when * 1000)
    return "".join(ALPHABET[milliseconds >> shift & 31] for shift in range(45, -1, -5)) + new_run_id()[10:]


def left(store: Path) -> set[str]:
    return {run.id for run in Store(str(store)).list()}


def swept(store: Path, *, quiet: float = 60) -> int:
    return sweep(str(store), every=0, quiet=quiet)


def test_clock_set_forward(own_store: Path, make: Make):
    """What began a moment ago by a clock that nobody sets is not old, whatever the clock says of its end."""
    runs = [make(age=2 * DAY) for _ in range(4)]
    here, now = Path("/proc/sys/kernel/random/boot_id").read_text(), time.clock_gettime(time.CLOCK_BOOTTIME)
    for run, boot, birth in zip(
        runs, (here, here, "another", here), ([now, now], None, [now, now], [now + DAY] * 2), strict=True
    ):
        files = files_of(run)
        path = Path(files.path, "run.json")
        origin = {"boot": boot.strip().replace("-", "")}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"origin": origin}))
        assert files.acquire()
        files.write_state({"state": "running", "birth": birth})
        files.release()

    assert swept(own_store) == 3

    assert left(own_store) == {runs[0].id}


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
    os.utime(f"{files_of(long).path}/outcome.json")

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
    directory = RunFiles.create(str(own_store / run_id), asked)
    assert directory.acquire()
    directory.write_state({"state": "running"})
    KeptFiles(str(own_store)).note(VIEW, "view", run_id, Keep(0, 1))

    assert swept(own_store, quiet=0) == 0
    assert left(own_store) == {run_id}
    directory.release()


def test_reader(own_store: Path, make: Make):
    """A run that somebody reads stays until they have closed it."""
    run = make(keep=Keep(0, DAY))
    log = run.log()
    first = log.read(0, 4)

    assert swept(own_store) == 0
    assert log.read(first.next).next == log.tail_offset
    log.close()
    assert swept(own_store) == 1
    assert left(own_store) == set()


def test_pinned(own_store: Path, make: Make):
    """A pinned run stays, whatever is kept of its view; the sweep takes it when it is unpinned."""
    run = make(keep=Keep(0, DAY))
    run.pin()

    assert swept(own_store) == 0
    run.unpin()
    assert swept(own_store) == 1


@pytest.mark.parametrize("near", ["ended", "watched"])
def test_quiet(own_store: Path, make: Make, near: str):
    """Who has just ended, or been watched, stays a while: a viewer may be reloading."""
    run = make(keep=Keep(0, DAY), age=90 if near == "watched" else 30)
    if near == "watched":
        files_of(run).touch_watched()

    assert swept(own_store) == 0
    assert swept(own_store, quiet=0) == 1


def test_once_a_minute(own_store: Path, make: Make):
    """All processes together sweep so often at most."""
    make(keep=Keep(0, DAY))
    assert sweep(str(own_store), every=60, quiet=60) == 1

    make(keep=Keep(0, DAY))
    assert sweep(str(own_store), every=60, quiet=60) == 0
    os.utime(own_store / "kept" / ".lock", (time.time() - 61,) * 2)
    assert sweep(str(own_store), every=60, quiet=60) == 1


def test_nothing_is_left_behind(own_store: Path, make: Make):
    """The index forgets what was removed, also by others, and views without runs."""
    store = Store(str(own_store))
    runs = [make(view, keep=Keep(0, DAY)) for view in ("one", "two")]
    store.remove(runs[0])

    assert swept(own_store) == 1
    assert swept(own_store) == 0
    assert os.listdir(own_store / "kept") == [".lock"]
    make("one")
    assert len(os.listdir(own_store / "kept")) == 2


def test_damage(own_store: Path, make: Make):
    """What stands in the index and is none of ours, or a damaged run, is in nobody's way."""
    damaged, good = make(keep=Keep(0, DAY)), make(keep=Keep(0, DAY))
    (Path(files_of(damaged).path) / "outcome.json").write_bytes(b"{")
    index = next((own_store / "kept").glob("view-*"))  # half lines, of who was killed or found no room
    index.write_bytes(b"\n0-86400\xff" + index.read_bytes() + b"not an id\n\n0-86400- 01m8jd")
    (own_store / "kept" / "folder").mkdir()
    (own_store / "kept" / ("view-" + "2" * 32)).mkdir()
    os.mkfifo(own_store / "kept" / ("view-" + "3" * 32))
    (own_store / "kept" / ("name-" + "1" * 32)).symlink_to("/")

    swept(own_store)

    assert good.id not in left(own_store)


def test_rule_of_a_name(own_store: Path, make: Make):
    """Of the runs of a name so many stay; the newest start's rule is that of all, and no viewer counts."""
    runs = [make("nightly", kind=NAME, age=1000 - at, keep=Keep(at + 1)) for at in range(5)]
    others = [make("weekly", kind=NAME, age=9 * DAY, keep=Keep(100)) for _ in range(3)]
    newest = make("nightly", kind=NAME, age=5, keep=Keep(2))  # and just over
    files_of(runs[0]).touch_watched()

    assert swept(own_store) == 4
    assert left(own_store) == {runs[-1].id, newest.id, *(run.id for run in others)}


def test_removed_by_hand(own_store: Path, make: Make):
    """A run that somebody removed takes no place among the newest, and is forgotten."""
    runs = [make("nightly", kind=NAME, age=1000 + at, keep=Keep(2)) for at in range(4)]
    Store(str(own_store)).remove(runs[0])

    assert swept(own_store) == 1
    assert left(own_store) == {runs[1].id, runs[2].id}
    assert runs[0].id not in next((own_store / "kept").glob("name-*")).read_text()


def test_size_of_a_name(own_store: Path, make: Make):
    """So much disk is taken by a name's runs together, the newest first; the newest stays, however large."""
    runs = [make("nightly", kind=NAME, age=1000 + at, keep=Keep(bytes=1)) for at in range(3)]
    each = files_of(runs[0]).disk_bytes()
    assert each > 0
    two = [make("weekly", kind=NAME, age=1000 + at, keep=Keep(bytes=2 * each)) for at in range(3)]

    assert swept(own_store) == 3
    assert left(own_store) == {runs[0].id, two[0].id, two[1].id}


def test_index_of_an_earlier_version(own_store: Path, make: Make):
    """Runs that an earlier version noted for its views go by what it noted."""
    runs = [make(None, age=1000 + at) for at in range(3)]
    folder = own_store / "viewed"
    folder.mkdir()
    (folder / ("1-86400-" + "0" * 32)).write_text("".join(f"{run.id}\n" for run in runs))

    assert swept(own_store) == 2
    assert left(own_store) == {runs[0].id}
    assert (folder / ("1-86400-" + "0" * 32)).read_text() == f"{runs[0].id}\n"


def test_rule_of_the_store(own_store: Path, make: Make):
    """A store's own rule counts for all of its runs; pinned ones stay, and take their place."""
    runs = [make(None, age=1000 + at) for at in range(4)]
    runs[0].pin()
    runs[3].pin()

    assert sweeps.sweep_all(str(own_store), Keep(2), every=0) == 1
    assert left(own_store) == {runs[0].id, runs[1].id, runs[3].id}
    assert sweeps.sweep_all(str(own_store), Keep(1), every=60) == 0


@pytest.mark.parametrize("kind", ["file", "link"])
def test_no_place_for_the_index(own_store: Path, tmp_path: Path, make: Make, kind: str):
    """Where the index is no folder of the store, nothing is noted or removed, and no link is followed."""
    run, elsewhere = make(None), tmp_path / "elsewhere"
    elsewhere.mkdir()
    kept = own_store / "kept"
    kept.symlink_to(elsewhere) if kind == "link" else kept.write_text("")

    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        make("nightly", kind=NAME, keep=Keep(1))
    sweeps._sweep_quietly(str(own_store), Keep(1))

    assert run.id in left(own_store)
    assert os.listdir(elsewhere) == []
