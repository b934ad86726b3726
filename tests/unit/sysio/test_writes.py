"""Writes of whole files: readers see the old content or the new one."""

import os
from pathlib import Path

import pytest

from runcast.sysio.writes import replace, write_once


@pytest.mark.parametrize("durable", [True, False])
def test_replace(tmp_path: Path, durable: bool):
    """A file is replaced by a new one, whatever its draft held, and nothing else is left."""
    path, draft = tmp_path / "file", tmp_path / "draft"
    path.write_bytes(b"old")
    draft.write_bytes(b"longer than what is written")
    with open(path, "rb") as before:
        replace(str(draft), str(path), b"new", durable=durable)

        assert before.read() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_write_once(tmp_path: Path):
    """The first to write a file has it; who comes later changes nothing, and no draft is left."""
    path, draft = tmp_path / "file", tmp_path / "draft"

    assert write_once(str(draft), str(path), b"first")
    assert not write_once(str(draft), str(path), b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]
