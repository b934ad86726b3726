"""The disk of a host that mirrors is full: its readers wait, the run does not; with room it goes on."""

import contextlib
import subprocess
from pathlib import Path

import pytest

from runcast.run.base import files_of
from tests.helpers.cli import RUNCAST, cli
from tests.helpers.disk import small_disk
from tests.helpers.engines import serving, valkey
from tests.helpers.link_hosts import PATIENCE, linked_hosts, same
from tests.helpers.wait import wait_until

SIZE = 8 * 1024 * 1024
ROOM = 4 * 1024 * 1024
PROGRAM = "for i in $(seq 6); do seq 100000 200000; done; cat"  # 4 MB, and what comes later

pytestmark = [pytest.mark.fault, pytest.mark.root]


def test_disk_of_the_mirror(tmp_path: Path):
    """A follower has each byte once, with no gap, though the disk was full in the middle."""
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "b", SIZE))
        disk.chmod(0o700)  # as a store must be
        engine = stack.enter_context(serving(valkey(), tmp_path / "valkey"))
        a, b = stack.enter_context(linked_hosts(tmp_path, engine.url, "rc:"))
        filler = disk / "filler"
        filler.write_bytes(b"\0" * (SIZE - ROOM // 2))
        run = a.store.start(["sh", "-c", PROGRAM], stdin="pipe")
        mirror = b.get(run)
        out = tmp_path / "out"
        command = [RUNCAST, "--store", b.store.path, "follow", run.id]
        with out.open("wb") as file, subprocess.Popen(command, stdout=file) as viewer:
            said = wait_until(lambda: _said(b.store.path), PATIENCE, "what is wrong")
            assert "no space left on device" in said
            wait_until(lambda: run.tail_offset > ROOM, PATIENCE)
            wait_until(lambda: out.stat().st_size, PATIENCE, "what there was room for")
            assert out.stat().st_size < run.tail_offset
            assert viewer.poll() is None, "the reader waits"
            run.send(b"more\n", eof=True)
            assert run.wait(timeout=PATIENCE).ok, "the run does not"
            filler.unlink()
            assert viewer.wait(PATIENCE * 2) == 0
        assert out.read_bytes() == b"".join(chunk.data for chunk in run.follow())
        wait_until(lambda: mirror.closed, PATIENCE)
        same(run, mirror)
        wait_until(lambda: not _said(b.store.path), PATIENCE, "that all is well")
        assert files_of(mirror).ended


def _said(store: str) -> str:
    """Return what `ls` says of room."""
    errors = cli("--store", store, "ls").err
    return errors if "cannot be written here" in errors else ""
