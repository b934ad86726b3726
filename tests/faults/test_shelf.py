"""Faults of a shelf: who keeps is killed between any two system calls; the disk is full, read-only or gone.

Whatever happens, a run is on the shelf whole or not at all, what is here stays, and it is kept in the end.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from runcast.errors import ShelfDown, ShelfFull, ShelfMissing
from runcast.shelf.folder import FolderShelf
from runcast.shelf.keeping import SMALL_BYTES, keep_run
from runcast.shelf.manifest import fetch_manifest, folder_of
from runcast.store.run_files import RunFiles
from tests.helpers.disk import small_disk
from tests.helpers.programs import program
from tests.helpers.shelves import large_run, read, shelf_at, small_run

pytestmark = [pytest.mark.fault, pytest.mark.slow]

CODE = """
import sys
from runcast.shelf.folder import FolderShelf
from runcast.shelf.keeping import keep_run
from runcast.store.run_files import RunFiles
keep_run(FolderShelf(sys.argv[1]), RunFiles(sys.argv[2]))
print("kept")
"""
MOST = 30  # of one call, or the test goes on for ever


def killed(shelf: FolderShelf, files: RunFiles, calls: str, when: int) -> bool:
    """Have another process keep a run; return whether it was killed at such a call."""
    command = [program("strace"), "-qq", "-o", "/dev/null", "-e", f"inject={calls}:signal=KILL:when={when}"]
    done = subprocess.run(
        [*command, sys.executable, "-c", CODE, shelf.path, files.path], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == ("kept\n" if done.returncode == 0 else "")
    return done.returncode != 0


@pytest.mark.parametrize("calls", ["fsync", "link,linkat", "unlink,unlinkat", "mkdir,mkdirat"])
def test_killed_anywhere(tmp_path: Path, calls: str):
    """A run whose keeping was cut off is not on the shelf, or whole; another try completes it."""
    data = b"0123456789abcde\n" * (SMALL_BYTES // 16 + 1)
    shelf, kills = shelf_at(tmp_path / "shelf"), 0
    for when in range(1, MOST):
        # A run of its own each time: objects of the one before are no help.
        files = small_run(tmp_path / "store", data)
        cut = killed(shelf, files, calls, when)
        kills += cut
        try:
            assert b"".join(chunk[3] for chunk in read(files)) == data
            found = fetch_manifest(shelf, files.id)
        except ShelfMissing:
            assert cut
        else:
            assert found == keep_run(shelf, files)
        manifest = keep_run(FolderShelf(shelf.path), files)
        assert fetch_manifest(shelf, files.id) == manifest
        segment = manifest.segments[0]
        assert manifest.data_of(shelf, segment, segment.pieces[0]) == data
        assert len(list(shelf.names(folder_of(files.id)))) == 3
        if not cut:
            break
    assert kills
    assert not cut


@pytest.mark.root
def test_full_disk(tmp_path: Path):
    """A shelf without room takes nothing of an object, and all of the run once there is room."""
    files = large_run(tmp_path / "store")
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        shelf = FolderShelf(str(disk))
        with pytest.raises(ShelfFull, match="make room there"):
            keep_run(shelf, files)
        with pytest.raises(ShelfMissing):
            fetch_manifest(shelf, files.id)
        assert list(disk.rglob(".*")) == []
        remount(disk, "size=8M")

        assert keep_run(shelf, files) == fetch_manifest(shelf, files.id)


@pytest.mark.root
def test_read_only(tmp_path: Path):
    """A shelf that may not be written to is down for who keeps, and gives what it has."""
    first, second = small_run(tmp_path / "store"), large_run(tmp_path / "store")
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        shelf = FolderShelf(str(disk))
        manifest = keep_run(shelf, first)
        remount(disk, "ro")

        with pytest.raises(ShelfDown, match="read-only"):
            keep_run(shelf, second)
        assert fetch_manifest(shelf, first.id) == manifest


@pytest.mark.root
def test_unmounted(tmp_path: Path):
    """Where the disk of a shelf is unmounted, nothing is put into the folder that it was at."""
    first, second = small_run(tmp_path / "store"), small_run(tmp_path / "store")
    place = tmp_path / "disk"
    with small_disk(place, 8 << 20) as disk:
        shelf = FolderShelf(str(disk))
        keep_run(shelf, first)

    with pytest.raises(ShelfDown, match="another one"):
        keep_run(shelf, second)
    with pytest.raises(ShelfDown, match="another one"):
        fetch_manifest(shelf, first.id)
    assert list(place.iterdir()) == []


def remount(disk: Path, options: str) -> None:
    """Change how a disk is mounted."""
    subprocess.run([program("mount"), "-o", f"remount,{options}", str(disk)], check=True)
