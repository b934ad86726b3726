"""The files that are kept with runs of this machine, and of other hosts.

Owns the way from a name to the file, and how long a reader waits for one that is on another host: as long as
it comes. Must not know where files are saved (sysio/saved.py), or how they come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator

from runcast.errors import ArtifactAway, ArtifactNotFound, FileDamaged
from runcast.model import Artifact
from runcast.readers import Wait, hub
from runcast.run.base import RunBase, files_of
from runcast.store.mirrors import ask_for_file
from runcast.store.run_files import RunFiles

__all__ = ["PART_BYTES", "find_artifact", "once_brought", "open_artifact", "read_artifact"]

PART_BYTES = 4 * 1024 * 1024  # of a file, read at once
_UNHEARD_SECONDS = 3.0  # without an agent: one that died is back within one
_STILL_SECONDS = 15.0  # in which nothing comes, though there is an agent
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2


def open_artifact(run: RunBase, name: str) -> tuple[int, int]:
    """Return a descriptor of a kept file, and its size.

    Raises:
        ArtifactNotFound: there is none of this name.
        ArtifactAway: it is on another host, and not here yet.
        RunNotFound: the run was removed.
        FileDamaged: the file is not whole.
    """
    files, (number, one) = files_of(run), find_artifact(run, name)
    try:
        return files.artifact_files.open(number, one.bytes, touch=files.is_mirror), one.bytes
    except FileNotFoundError:
        if files.is_mirror:
            raise _away(files, number, one) from None
        raise FileDamaged(f"run {run.id}: expected its file {name!r:.200}, it is missing") from None
    except FileDamaged as error:  # such as after a loss of power
        if not files.is_mirror:
            raise
        try:
            files.artifact_files.let_go(number)
        except OSError:
            raise error from None
        raise _away(files, number, one) from None


def find_artifact(run: RunBase, name: str) -> tuple[int, Artifact]:
    """Return what is known of a kept file wherever it is, and its number, which never changes.

    Raises:
        ArtifactNotFound: there is none of this name.
        RunNotFound: the run was removed.
    """
    for number, one in enumerate(run.artifacts):
        if one.name == name:
            return number, one
    known = ", ".join(one.name for one in run.artifacts[:5]) or "none"
    raise ArtifactNotFound(f"run {run.id} has no file {name!r:.200}; there are: {known}")


def _away(files: RunFiles, number: int, file: Artifact) -> ArtifactAway:
    """Have a file brought; return the error for one that is not here yet, or cannot be had."""
    said = ask_for_file(files.path, number)
    what = f"expected file {file.name!r:.200} of run {files.id} on this disk"
    if said is not None and "error" in said:
        return ArtifactAway(f"{what}, {said['error']}: try again, or look on that host")
    return ArtifactAway(f"{what}, it is brought from another host: try again", (files.path, number))


def once_brought(
    away: ArtifactAway, stopping: Callable[[], bool] = lambda: False
) -> Generator[Wait, None, bool]:
    """Return whether it makes sense to open a file again: it is here, or it is known why it never will.

    Args:
        away: the error of the file.
        stopping: returns whether to wait no more.
    """
    if away.comes is None:
        return False
    path, number = away.comes
    files, pause, come = RunFiles(path), _FIRST_PAUSE, -1
    heard = moved = time.monotonic()
    watch = hub().watch(files)
    try:
        while not stopping():
            seen = [(watch, watch.version)]
            if files.artifact_files.has(number) or not files.exists:
                return True
            now = time.monotonic()
            if (said := ask_for_file(path, number)) is not None:
                heard = now
                if "error" in said:
                    return True
                if said.get("bytes") != come:
                    come, moved = said.get("bytes", 0), now
            if now - heard > _UNHEARD_SECONDS or now - moved > _STILL_SECONDS:
                return False
            yield Wait(seen, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
    finally:
        watch.close()
    return False


def _opened(run: RunBase, name: str) -> tuple[int, int]:
    """Open a kept file, blocking this thread while it is brought."""
    while True:
        try:
            return open_artifact(run, name)
        except ArtifactAway as away:
            steps = once_brought(away)
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    if not end.value:
                        raise away from None
                    break
                hub().wait(step.seen, step.timeout)


def read_artifact(run: RunBase, name: str, offset: int, most: int) -> bytes:
    """Return so many bytes of a kept file, fewer at its end. Raises what `open_artifact` does."""
    fd, size = _opened(run, name)
    try:
        return os.pread(fd, min(most, max(size - offset, 0)), offset)
    finally:
        os.close(fd)
