"""The folder of a store: which runs are in it, and how one gets in and out.

A run is made under a hidden name, renamed when its writer holds its lock, and removed the other way
round: a list has it whole or not at all. What was abandoned under a hidden name is swept by the next
listing. Must not know what runs are for.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from runcast.errors import RunNotFound, RunPinned
from runcast.ids import is_run_id
from runcast.store.keys import free_key
from runcast.store.removed import note_removal
from runcast.store.run_files import BESIDE, RunFiles
from runcast.sysio.files import is_folder

__all__ = ["StoreFiles"]

_GONE = ".gone-"
_HIDDEN = (".new-", _GONE, *BESIDE)
_ABANDONED = 3600.0  # seconds after which a run that never got its name is swept away


class StoreFiles:
    """The files of a store, by the path of its folder. Cheap to make, and nothing need be there."""

    def __init__(self, path: str) -> None:
        self.path = path

    def run(self, run_id: str) -> RunFiles:
        """Return the files of a run, whether it is there or not."""
        return RunFiles(f"{self.path}/{run_id}")

    def draft(self, run_id: str) -> RunFiles:
        """Return the files of a run that is being made, under its hidden name."""
        return RunFiles(f"{self.path}/.new-{run_id}")

    def has(self, run_id: str) -> bool:
        """Return whether a run is there; a symbolic link to one is not."""
        return is_folder(f"{self.path}/{run_id}")

    @property
    def streams(self) -> str:
        """The folder of streams that programs append to."""
        return f"{self.path}/.streams"

    @property
    def has_streams(self) -> bool:
        """Whether there are, or were, such streams: most stores have none."""
        return os.path.isdir(self.streams)

    def ids(self) -> Iterator[str]:
        """Yield the ids of the runs, in no order; reads nothing of any run."""
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if is_run_id(entry.name):
                        if entry.is_dir(follow_symlinks=False):  # a link may lead anywhere
                            yield entry.name
                    elif entry.name.startswith(_HIDDEN):
                        self._sweep(entry)
        except (FileNotFoundError, NotADirectoryError):
            return

    def _sweep(self, entry: os.DirEntry[str]) -> None:
        with contextlib.suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime < _ABANDONED:
                return
            if entry.is_dir(follow_symlinks=False):
                removed = entry.name.removeprefix(_GONE)
                if is_run_id(removed):  # who removed it was killed
                    note_removal(self.path, removed, mirror=RunFiles(entry.path).is_mirror)
                _remove_tree(entry.path, ignore_errors=True)
            elif not os.path.lexists(f"{self.path}/{entry.name.partition('-')[2]}"):
                os.unlink(entry.path)

    def stream_names(self) -> list[str]:
        """Return what the names of the streams are kept as, in no order."""
        try:
            return os.listdir(f"{self.streams}/names")
        except OSError:
            return []

    def remove(self, run_id: str, key: str | None = None, *, for_good: bool = True) -> None:
        """Remove a run that is over, its key, and its small files beside its folder.

        Args:
            run_id: of the run.
            key: its key.
            for_good: whether a mirror is not to come back.

        Raises:
            RunNotFound: it was removed meanwhile.
            RunPinned: it is pinned.
            OSError: the store cannot be written to.
        """
        path, gone = f"{self.path}/{run_id}", f"{self.path}/{_GONE}{run_id}"
        if RunFiles(path).pinned:
            raise RunPinned(run_id)
        try:
            os.rename(path, gone)
        except FileNotFoundError:
            raise RunNotFound(run_id, f"the store {self.path}") from None
        if RunFiles(gone).pinned:  # since the first look; from now on nobody finds it to pin it
            os.rename(gone, path)
            raise RunPinned(run_id)
        mirror = RunFiles(gone).is_mirror
        again = note_removal(self.path, run_id, mirror=mirror) if for_good or not mirror else None
        _remove_tree(gone)
        if again is not None:  # there was no room
            again()
        if key:
            free_key(self.path, key, run_id)
        for beside in BESIDE:
            with contextlib.suppress(OSError):  # not there, or something that is none of ours
                os.unlink(f"{self.path}/{beside}{run_id}")

    def hide(self, run_id: str) -> None:
        """Give the folder of a run its hidden name, under which it is swept; it is not removed for the user.

        Raises:
            OSError: the store cannot be written to.
        """
        os.rename(f"{self.path}/{run_id}", self.draft(run_id).path)

    def remove_all(self) -> None:
        """Remove the store: of one in memory, whose process ends."""
        _remove_tree(self.path, ignore_errors=True)

    def subscribe(self, wake: object) -> None:
        """Return None: runs are started by any process."""

    def watch_paths(self) -> list[str]:
        """Return the folder into which a new run is renamed, and that of new streams."""
        return [self.path, self.streams] if self.has_streams else [self.path]

    def growing(self) -> None:
        """Return None: how much output there is says nothing of which runs there are."""


def _remove_tree(path: str, *, ignore_errors: bool = False) -> None:
    import shutil  # few processes remove anything

    def unless_gone(_function: object, _path: str, failure: Any) -> None:
        """Raise what went wrong, but for a file that its supervisor removed between listing and unlink."""
        if not ignore_errors and not isinstance(failure[1], FileNotFoundError):
            raise failure[1]

    shutil.rmtree(path, onerror=unless_gone)
