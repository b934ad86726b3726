"""A shelf without an engine: one machine moves its old output to a large disk, and reads it from there."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from runcast import Store
from runcast.agent.solo import ShelfAgent
from runcast.errors import StoreUnusable
from runcast.log.segments import segment_name, segment_starts
from runcast.run.base import files_of
from runcast.shelf.folder import FolderShelf
from runcast.shelf.manifest import fetch_manifest
from runcast.store.folder import make_store
from runcast.store.links import is_shared, read_link, read_status
from runcast.store.mirrors import agent_lock, take_agent_lock
from runcast.store.shelved import mark_shelved, note_shelf
from runcast.supervisor.launch import python_command
from runcast.sysio.files import is_locked
from tests.helpers.cli import cli
from tests.helpers.link_hosts import agent_of
from tests.helpers.shelves import LARGE, large_run, small_run
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until

PATIENCE = 20000 * MS

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Store, str]]:
    """A store, and the name of it with a shelf that takes all output that is over 5 seconds old."""
    (tmp_path / "shelf").mkdir()
    with temporary_store(tmp_path / "s") as store:
        yield store, f"file:{store.path}?shelf=file://{tmp_path}/shelf?local_age=1s"
        link = Path(store.path, "link.json")
        link.unlink(missing_ok=True)
        wait_until(lambda: not is_locked(agent_lock(store.path)), PATIENCE, "the end of its agent")


def age(path: str) -> None:
    """Have the output of a run look as if it were old."""
    for start in segment_starts(f"{path}/log"):
        os.utime(f"{path}/log/{segment_name(start)}", (time.time() - 3600,) * 2)


def away(path: str) -> bool:
    """Return whether no output of a run is on this disk."""
    return not any(
        os.path.exists(f"{path}/log/{segment_name(start)}") for start in segment_starts(f"{path}/log")
    )


def test_old_output_moves(place: tuple[Store, str], tmp_path: Path):
    """Output of a run that is over goes to the shelf and from this disk, and is read as ever."""
    store, name = place
    files = large_run(Path(store.path))
    age(files.path)
    opened = Store.open(name)
    assert opened.path == store.path
    run = opened.start(["sh", "-c", "seq 1 5000; exit 3"])
    run.wait(timeout=PATIENCE)
    age(files_of(run).path)
    wait_until(lambda: away(files.path) and away(files_of(run).path), PATIENCE, "an empty disk")

    shelf = FolderShelf(str(tmp_path / "shelf"))
    assert fetch_manifest(shelf, run.id).outcome
    assert run.output(timeout=PATIENCE) == "".join(f"{number}\n" for number in range(1, 5001))
    again = Store.open(store.path).get(files.id)  # by its plain name, too
    assert b"".join(chunk.data for chunk in again.follow()) == LARGE
    assert cli("--store", name, "ls").err == ""


def test_shared_with_nobody(place: tuple[Store, str]):
    """Such a store has no host, no link and no list to wait for; keys are its own."""
    store, name = place
    opened = Store.open(name)
    assert not is_shared(store.path)
    run = opened.start(["sleep", "600"], key="job")
    assert opened.start(["sleep", "600"], key="job").id == run.id
    assert run.to_json().get("host") is None
    assert opened.ids() == [run.id]
    listed = cli("--store", name, "ls")
    assert (listed.code, listed.err) == (0, "")
    assert not os.path.lexists(f"{store.path}/.link.dropped")
    doctor = cli("--store", name, "doctor")
    assert "the store is shared with no other host" in doctor.out.decode()
    run.kill()


def test_agent_waits_for_the_end(place: tuple[Store, str]):
    """An agent that nobody looks at stays as long as a run goes on, keeps that, and ends."""
    store, name = place
    run = Store.open(name).start(["sh", "-c", "read word; echo $word"], stdin="pipe")
    os.kill(wait_until(lambda: agent_of(store), PATIENCE), signal.SIGTERM)
    wait_until(lambda: not is_locked(agent_lock(store.path)), PATIENCE)
    code = f"from runcast.agent.process import main; main({store.path!r}, 0.3)"
    agent = subprocess.Popen(python_command(code, site=True))
    with pytest.raises(subprocess.TimeoutExpired):
        agent.wait(timeout=1.5)  # several times as long as it may be idle
    run.send(b"words\n", eof=True)
    run.wait(timeout=PATIENCE)
    assert agent.wait(timeout=PATIENCE) == 0
    assert os.path.exists(f"{files_of(run).path}/shelved")


def test_shelf_is_away(place: tuple[Store, str], tmp_path: Path):
    """While the shelf is not mounted nothing is let go, and `ls` says why; then it goes on."""
    store, name = place
    opened = Store.open(name)
    opened.start(["true"]).wait(timeout=PATIENCE)
    wait_until(lambda: os.path.exists(f"{store.path}/.shelf.json"), PATIENCE, "the shelf known")
    (tmp_path / "shelf").rename(tmp_path / "elsewhere")
    run = opened.start(["sh", "-c", "seq 1 100"])
    run.wait(timeout=PATIENCE)
    age(files_of(run).path)
    wait_until(lambda: "is it mounted" in cli("--store", store.path, "ls").err, PATIENCE, "what is wrong")
    assert not away(files_of(run).path)
    (tmp_path / "elsewhere").rename(tmp_path / "shelf")
    wait_until(lambda: away(files_of(run).path), 3 * PATIENCE, "an empty disk")
    wait_until(lambda: getattr(read_status(store.path), "message", "?") is None, PATIENCE)


def looked(store: str) -> tuple[bool, bool]:
    """Return of an agent that has found its shelf away whether it is idle, and whether no run goes on."""
    held = take_agent_lock(store)
    assert held is not None
    agent = ShelfAgent(store, f"file://{store}-shelf?local_age=1s", held)

    def said() -> bool:
        agent.turn(0.01)
        status = read_status(store)
        return status is not None and "is it mounted" in (status.message or "")

    try:
        wait_until(said, PATIENCE, "what is wrong")
        return agent.idle_for(time.monotonic() + 1) > 0, not agent.unshared
    finally:
        agent.close()
        os.close(held)


def test_nothing_to_keep_on_a_shelf_that_is_away(tmp_path: Path):
    """Where no run is left for it an agent does not wait for its shelf; nor for a run that was lost."""
    make_store(str(tmp_path / "s"))
    mark_shelved(small_run(tmp_path / "s"), "of before")
    note_shelf(str(tmp_path / "s"), "of before")
    os.unlink(f"{small_run(tmp_path / 's').path}/outcome.json")

    assert looked(f"{tmp_path}/s") == (True, True)


def test_run_for_a_shelf_that_is_away(tmp_path: Path):
    """While a run is to be kept, an agent waits for its shelf as long as that takes."""
    make_store(str(tmp_path / "s"))
    small_run(tmp_path / "s")

    assert looked(f"{tmp_path}/s") == (False, True)


@pytest.mark.parametrize(
    ("shelf", "said"),
    [
        ("ftp://bucket/runs", "or a bucket, such as s3://runs, got ftp://…: name the folder"),
        ("runs", "got a text without file:// or s3://"),
        ("file:///mnt/runs?local_aeg=7d", "expected local_age, local_bytes, link_age, got 'local_aeg'"),
        ("file:///mnt/runs?local_age=soon", r"such as \?local_age=7d&local_bytes=10G"),
    ],
)
@pytest.mark.parametrize("form", ["file:{}/s?shelf={}", "redis://127.0.0.1:1/0?store={}/s&shelf={}"])
def test_bad_shelf_is_refused(tmp_path: Path, form: str, shelf: str, said: str):
    """A shelf that can never work is refused where the store is opened, with the cure."""
    with pytest.raises(StoreUnusable, match=said):
        Store.open(form.format(tmp_path, quote(shelf)))
    assert os.listdir(tmp_path) == []


def test_words_of_the_name(tmp_path: Path):
    """The URL of the shelf may stand there as it is, or encoded; a folder may still have a question mark."""
    plain = f"file:{tmp_path}/s?shelf=file:///mnt/runs?local_age=7d&local_bytes=10G"
    coded = f"file://{tmp_path}/t?shelf=file:///mnt/runs%3Flocal_age=7d%26local_bytes=10G"
    for name, folder in ((plain, "s"), (coded, "t")):
        assert Store.open(name).path == f"{tmp_path}/{folder}"
        link = read_link(f"{tmp_path}/{folder}")
        assert link is not None
        assert (link.url, link.shelf) == ("", "file:///mnt/runs?local_age=7d&local_bytes=10G")
    assert Store.open(f"file:{tmp_path}/what?").path == f"{tmp_path}/what?"
    with pytest.raises(StoreUnusable, match="file:FOLDER"):
        Store.open("file:?shelf=file:///mnt/runs")


def test_shared_store_stays_shared(tmp_path: Path):
    """A store that is shared is not taken from the link by the form without an engine."""
    url = f"redis://127.0.0.1:1/0?store={tmp_path}/s&host=first"
    Store.open(url)
    with pytest.raises(StoreUnusable, match=r"add shelf= to that URL, or remove .*link\.json"):
        Store.open(f"file:{tmp_path}/s?shelf=file:///mnt/runs")


def test_another_host_name(tmp_path: Path):
    """A host has another name only while none of its runs goes on; another password is no other host."""
    with temporary_store(tmp_path / "s") as store:
        url = f"redis://127.0.0.1:1/0?store={store.path}&host=first"
        run = Store.open(url).start(["sleep", "600"])
        with pytest.raises(StoreUnusable, match=f"expected host=first in the URL .* run {run.id} goes on"):
            Store.open(url.replace("first", "second"))
        Store.open(url.replace("redis://", "redis://:secret@"))
        link = read_link(store.path)
        assert link is not None
        assert (link.host, "secret" in link.url) == ("first", True)
        run.kill()
        run.wait(timeout=PATIENCE)
        Store.open(url.replace("first", "second"))
        link = read_link(store.path)
        assert link is not None
        assert link.host == "second"
        Path(store.path, "link.json").unlink()
        wait_until(lambda: not is_locked(agent_lock(store.path)), PATIENCE)
