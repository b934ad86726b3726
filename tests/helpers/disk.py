"""A disk that is soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.programs import program


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a file system of so many bytes, which takes root."""
    place.mkdir()
    command = [program("mount"), "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.fail(f"expected root with the right to mount, got {tried.stderr.strip()}", pytrace=False)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
