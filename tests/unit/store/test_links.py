"""No symbolic link is followed below a store (promises T9 and T15)."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from runcast.durable import FileStreams
from runcast.errors import FileDamaged, RuncastError, RunNotFound, StreamNotFound
from runcast.ids import new_run_id
from runcast.run.base import files_of
from runcast.wire.durable import Creation
from tests.unit.runs import make_run

SECRET = "what is outside"
TEXT = Creation(content_type="text/plain")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """The folder of a run that lies outside of the store."""
    run_id = make_run(tmp_path / "elsewhere", name=SECRET)
    return tmp_path / "elsewhere" / run_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one run."""
    make_run(tmp_path / "store")
    return tmp_path / "store"


def test_linked_run(folder: Path, outside: Path) -> None:
    """A link in the place of a run's folder is no run, whatever it leads to."""
    store, name = Store.open(folder), outside.name
    (folder / name).symlink_to(outside)

    assert name not in [run.id for run in store.list()]
    for asked in (name, name[:20], name[-20:]):
        with pytest.raises(RunNotFound):
            store.get(asked)


@pytest.mark.parametrize("name", ["run.json", "outcome.json"])
def test_linked_file(folder: Path, outside: Path, name: str) -> None:
    """A link in the place of a run's file is damage, and what it leads to is not shown."""
    (run,) = Store.open(folder).list()
    path = Path(files_of(run).path, name)
    path.unlink()
    path.symlink_to(outside / name)

    told = run.to_json()
    assert told["damaged"] == f"{name}: expected a file, a symbolic link is there"
    assert SECRET not in json.dumps(told)
    assert run.output() == "one\ntwo\r\nthree"


@pytest.mark.parametrize("name", ["log", f"log/{0:020d}"])
def test_linked_log(folder: Path, outside: Path, name: str) -> None:
    """A link in the place of a log, or of a part of it, is damage: nothing is read or written behind it."""
    (run,) = Store.open(folder).list()
    Path(files_of(run).path, name).rename(folder / "moved")
    Path(files_of(run).path, name).symlink_to(outside / name)

    assert "a symbolic link is there" in run.to_json()["damaged"]
    with pytest.raises(FileDamaged, match="a symbolic link is there"):
        run.output()


@pytest.mark.parametrize("target", ["../../elsewhere", "/etc", ".", "gone-..", "gone-../../x", ""])
def test_name_that_leads_elsewhere(folder: Path, target: str) -> None:
    """A stream's name whose link is no id of ours names nothing."""
    streams = FileStreams(str(folder))
    made, _ = streams.create("s", TEXT, b"x")
    (link,) = Path(streams.path, "names").iterdir()
    link.unlink()
    link.symlink_to(target or "nothing")

    with pytest.raises(StreamNotFound):
        FileStreams(str(folder)).get("s")
    assert FileStreams(str(folder)).by_id(made.id) is None


def test_linked_stream(folder: Path, tmp_path: Path) -> None:
    """A link in the place of a stream's folder is no stream."""
    streams = FileStreams(str(folder))
    made, _ = streams.create("s", TEXT, b"x")
    streams.close()
    Path(streams.path, made.id).rename(tmp_path / made.id)
    Path(streams.path, made.id).symlink_to(tmp_path / made.id)

    again = FileStreams(str(folder))
    assert list(again.ids()) == []
    with pytest.raises(RuncastError):
        again.get("s")


@pytest.mark.parametrize(
    ("plant", "use"),
    [
        (".streams", lambda store: FileStreams(store.path).create("s", TEXT, b"x")),
        (".streams/names", lambda store: FileStreams(store.path).create("s", TEXT, b"x")),
        ("keys", lambda store: store.start(lambda: None, key="k")),
        (".owners", lambda store: store.start(lambda: None)),
    ],
)
def test_linked_folder(folder: Path, tmp_path: Path, plant: str, use: Callable[[Store], object]) -> None:
    """Nothing is made behind a link in the place of one of the store's own folders."""
    (tmp_path / "open").mkdir()
    (folder / plant).parent.mkdir(exist_ok=True)
    (folder / plant).symlink_to(tmp_path / "open")

    with pytest.raises(FileDamaged, match="expected a folder, a symbolic link is there: move it away"):
        use(Store.open(folder))
    assert list((tmp_path / "open").iterdir()) == []


def test_ids_are_no_paths(folder: Path) -> None:
    """What is asked for as an id never leads out of the store."""
    store, streams = Store.open(folder), FileStreams(str(folder))
    for asked in (
        "..",
        ".",
        "/etc/passwd",
        "../elsewhere",
        "keys",
        ".streams",
        "",
        "\0",
        new_run_id() + "/..",
    ):
        with pytest.raises(RunNotFound):
            store.get(asked)
        assert streams.by_id(asked) is None
        with pytest.raises(StreamNotFound):
            streams.delete_id(asked)
