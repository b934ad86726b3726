"""A store: which folders it takes, which runs it lists and finds. Nothing is started here."""

import json
import os
from pathlib import Path

import pytest

from runcast.errors import (
    FormatTooNew,
    RunActive,
    RunNotFound,
    RunPinned,
    StoreUnusable,
    UsageError,
)
from runcast.ids import new_run_id
from runcast.runs import Store
from runcast.store.run_files import RunFiles
from tests.unit.runs import make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store may be."""
    return tmp_path / "store"


def test_folders(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A store is named by its folder, as `file:`, or by the environment; opening makes nothing."""
    assert Store.open(folder).path == str(folder)
    assert Store.open(f"file:{folder}").path == str(folder)
    assert Store.open(f"file://{folder}").path == str(folder)
    monkeypatch.chdir(folder.parent)
    assert Store.open("store").path == str(folder)
    monkeypatch.setenv("RUNCAST_STORE", str(folder))
    assert Store.open().path == str(folder)
    monkeypatch.setenv("HOME", str(folder))
    assert Store.open("~/x").path == f"{folder}/x"
    assert not folder.exists()
    assert list(Store.open(folder).list()) == []


@pytest.mark.parametrize("where", ["sqlite://host", "http://host/x", "mailto:somebody", ""])
def test_names_of_no_store(where: str):
    """Other names are refused in a sentence that shows them."""
    with pytest.raises(StoreUnusable, match=r"expected .* as the store, got"):
        Store.open(where)


@pytest.mark.parametrize("where", ["?shel=file:///mnt", "?local_age=7d", "?shelve=file:///mnt?local_age=7d"])
def test_word_that_no_store_has(folder: Path, where: str):
    """A slip in the words behind a folder is refused, and makes no folder of that name."""
    with pytest.raises(StoreUnusable, match=r"expected file:FOLDER or file:FOLDER\?shelf=.*, got \?\w+=$"):
        Store.open(f"file:{folder}{where}")


def test_file_instead_of_a_folder(folder: Path):
    """A file is no store."""
    folder.write_text("x")

    with pytest.raises(StoreUnusable, match="is a file: name a folder"):
        Store.open(folder)


def test_folder_of_other_things(folder: Path):
    """A folder that holds something else is left alone."""
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")

    with pytest.raises(StoreUnusable, match="holds other files: name another folder"):
        Store.open(folder)


@pytest.mark.parametrize("version", [2, 99])
def test_store_of_a_later_version(folder: Path, version: object):
    """A store of a later format is refused with both versions."""
    folder.mkdir()
    (folder / "store.json").write_text(json.dumps({"format": version}))

    with pytest.raises(FormatTooNew, match=f"has format {version}, this runcast knows up to 1"):
        Store.open(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_damaged_store(folder: Path, text: str):
    """A mark that cannot be read is told as what it is."""
    folder.mkdir()
    (folder / "store.json").write_text(text)

    with pytest.raises(StoreUnusable, match=r"cannot read .*store.json"):
        Store.open(folder)


def test_list(folder: Path):
    """Runs are listed newest first, as many as asked for; what is no run is not among them."""
    ids = [make_run(folder, new_run_id()) for _ in range(4)]
    (folder / "notes").mkdir()
    (folder / f".new-{new_run_id()}").mkdir()

    assert [run.id for run in Store.open(folder).list()] == ids[::-1]
    assert [run.id for run in Store.open(folder).list(2)] == ids[:1:-1]


def test_get(folder: Path):
    """A run is found by its id, in any case, and by a part that only it begins or ends with."""
    run_id = "01arz3ndektsv4rrffq69g5fav"
    other = "01arz3zzzzzzzzzzzzzzzzzz9g"
    make_run(folder, run_id)
    make_run(folder, other)
    store = Store.open(folder)

    for text in (run_id, run_id.upper(), "01arz3nd", "g5fav"):
        assert store.get(text).id == run_id
    with pytest.raises(RunNotFound) as near:
        store.get("01arz3")
    assert near.value.near == (run_id, other)
    with pytest.raises(RunNotFound) as near:
        store.get(run_id[:-1] + "w")
    assert near.value.near == (run_id,)
    for text in ("../store", "zzzz", "fav", "", "..", "/etc"):
        with pytest.raises(RunNotFound):
            store.get(text)


def test_remove(folder: Path):
    """A run that has ended is removed, whole; a second time it is not there."""
    run_id = make_run(folder)
    store = Store.open(folder)
    store.remove(run_id)

    assert os.listdir(folder) == [".audit.jsonl"]  # who removed it
    with pytest.raises(RunNotFound):
        store.remove(run_id)


def test_remove_what_goes_on(folder: Path):
    """A run whose writer holds the lock cannot be removed."""
    folder.mkdir()
    run_id = new_run_id()
    directory = RunFiles.create(str(folder / run_id), {})
    assert directory.acquire()

    with pytest.raises(RunActive, match=f"run {run_id} is starting: stop it first"):
        Store.open(folder).remove(run_id)
    directory.release()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "expected timeout to be more than 0, got 0"),
        ({"idle_timeout": -1}, "expected idle_timeout to be more than 0, got -1"),
        ({"cap": 0}, "expected cap to be more than 0, got 0"),
        ({"stdin": "pipe", "input": "x"}, "expected stdin or input, got both"),
    ],
)
def test_start_refuses_before_it_touches_anything(folder: Path, options: dict, said: str):
    """Options that cannot be are refused, and no store is made for them."""
    with pytest.raises(UsageError, match=said):
        Store.open(folder).start(["ls"], **options)

    assert not folder.exists()


def test_pinned(folder: Path):
    """A pinned run says so and is not removed, by whichever object; unpinned it is."""
    store = Store(str(folder))
    run = store.get(make_run(folder))
    assert run.to_json()["pinned"] is False

    run.pin()
    assert (run.pinned, store.get(run.id).to_json()["pinned"]) == (True, True)
    with pytest.raises(RunPinned):
        store.remove(run)

    store.get(run.id).unpin()
    store.remove(run)
    for look in (run.pin, run.unpin, lambda: run.pinned):
        with pytest.raises(RunNotFound):
            look()
