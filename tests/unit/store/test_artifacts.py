"""Files that are kept with a run: copied whole, found by number, damage known."""

import json
import os
from pathlib import Path

import pytest

from runcast.errors import FileDamaged
from runcast.model import Artifact, LeftOut
from runcast.store.artifacts import ArtifactFiles
from runcast.store.run_files import RunFiles

DATA = os.urandom(3 * 1024 * 1024)


def kept(tmp_path: Path, data: bytes, size: int) -> bool:
    (tmp_path / "source").write_bytes(data)
    fd = os.open(tmp_path / "source", os.O_RDONLY)
    try:
        return ArtifactFiles(f"{tmp_path}").add(0, fd, size, lambda: False)
    finally:
        os.close(fd)


def test_kept(tmp_path: Path):
    """A file is there with the list, byte for byte, and counts as disk of the run."""
    files = RunFiles(f"{tmp_path}")
    assert files.artifacts() is None
    assert kept(tmp_path, DATA, len(DATA))
    before = files.disk_bytes()
    listed = [Artifact("../../x", len(DATA))], [LeftOut("b", "why")]
    ArtifactFiles(f"{tmp_path}").write(*listed, f"{tmp_path}/.draft")

    assert files.artifacts() == listed
    fd = ArtifactFiles(f"{tmp_path}").open(0, len(DATA))
    assert os.pread(fd, len(DATA) + 1, 0) == DATA
    os.close(fd)
    (tmp_path / "artifacts" / "0").unlink()
    assert files.disk_bytes() < before


@pytest.mark.parametrize(("size", "whole"), [(10, True), (0, True), (len(DATA) + 1, False)])
def test_size(tmp_path: Path, size: int, whole: bool):
    """So many bytes are kept, or nothing of the file."""
    assert kept(tmp_path, DATA, size) is whole
    assert os.listdir(tmp_path / "artifacts") == (["0"] if whole else [])


def test_damaged(tmp_path: Path):
    """A file that is not as long as the list says is damaged."""
    kept(tmp_path, b"abc", 3)
    with pytest.raises(FileDamaged, match="expected 4 bytes, it has 3"):
        ArtifactFiles(f"{tmp_path}").open(0, 4)


@pytest.mark.parametrize(
    "damage",
    [{}, {"artifacts": 3, "left_out": {}}, {"artifacts": [3]}, {"artifacts": [{"name": 3, "bytes": 1}]}],
)
def test_damaged_list(tmp_path: Path, damage: object):
    """Of a list that cannot be read nothing is there."""
    (tmp_path / "artifacts.json").write_text(json.dumps(damage))
    assert RunFiles(f"{tmp_path}").artifacts() == ([], [])
