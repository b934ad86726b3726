"""Keeps files of a run when its command has ended, before its end is published.

Owns which files those are, their bounds, and the reasons for what is left out. A thread copies, so that the
control socket is heard meanwhile. Loaded for runs that have such files; nothing else pays for it.
"""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runcast.errors import FileDamaged
from runcast.model import Artifact, LeftOut
from runcast.shortages import shortage
from runcast.store.run_files import RunFiles
from runcast.supervisor.loop import Loop
from runcast.sysio.beneath import TooManyNames, is_plain, matching, open_file

if TYPE_CHECKING:
    from runcast.masking.masks import Masks

__all__ = ["ARTIFACTS_BYTES", "ARTIFACTS_MOST", "keep_artifacts"]

ARTIFACTS_MOST = 1000  # files of a run
ARTIFACTS_BYTES = 1024 * 1024 * 1024  # of all of them
_SECONDS = 60.0  # for all of it: a file system may hang
_LEFT_OUT_MOST = 100  # that are named; how many more there are is said


class _Collection:
    """The files of one run, as far as they are kept.

    Args:
        files: of the run.
        masks: what their names must not show.
        owner: the user whose files may be kept; None for anybody's.
        stopped: returns whether to keep no more.
    """

    def __init__(
        self, files: RunFiles, masks: Masks | None, owner: int | None, stopped: Callable[[], bool]
    ) -> None:
        self._files, self._masks, self._owner, self._stopped = files, masks, owner, stopped
        self._kept: list[Artifact] = []
        self._left_out: list[LeftOut] = []
        self._more = 0
        self._names: set[str] = set()
        self._bytes = 0

    def take(self, folder: int, pattern: str) -> None:
        """Keep what matches a pattern."""
        found = False
        try:
            for name in matching(folder, pattern):
                found = True
                if name not in self._names:
                    self._names.add(name)
                    self._keep(folder, name, plain=is_plain(pattern))
        except TooManyNames:
            self._leave_out(pattern, "there are too many names to look at: name a folder")
            return
        if not found:
            self._leave_out(pattern, "there is no such file")

    def _keep(self, folder: int, name: str, *, plain: bool) -> None:
        try:
            fd = open_file(folder, name)
        except ValueError as error:
            if plain or "folder:" not in str(error):  # of what a pattern matches, folders go without saying
                self._leave_out(name, str(error))
            return
        except OSError as error:
            self._leave_out(name, (error.strerror or str(error)).lower())
            return
        try:
            self._copy(fd, name)
        except (OSError, FileDamaged) as error:
            short = shortage(error) if isinstance(error, OSError) else None
            self._leave_out(name, f"it cannot be kept: {short.what if short else error}")
        finally:
            os.close(fd)

    def _copy(self, fd: int, name: str) -> None:
        status = os.fstat(fd)
        why = self._refused(name, status)
        if why is None and not self._files.artifact_files.add(
            len(self._kept), fd, status.st_size, self._stopped
        ):
            why = (
                "the run was stopped meanwhile, or the time was up"
                if self._stopped()
                else "it became shorter"
            )
        if why is not None:
            self._leave_out(name, why)
            return
        self._bytes += status.st_size
        self._kept.append(Artifact(self._shown(name), status.st_size))

    def _refused(self, name: str, status: os.stat_result) -> str | None:
        if self._owner is not None and status.st_uid != self._owner:
            return "it is another user's"
        if not name.isprintable():
            return "its name has characters that are not shown"
        if len(self._kept) >= ARTIFACTS_MOST:
            return f"there are {ARTIFACTS_MOST} already"
        if self._bytes + status.st_size > ARTIFACTS_BYTES:
            return f"with {status.st_size} bytes it goes beyond the {ARTIFACTS_BYTES} of all"
        return None

    def _leave_out(self, name: str, why: str) -> None:
        if len(self._left_out) < _LEFT_OUT_MOST:
            self._left_out.append(LeftOut(self._shown(name), why))
        else:
            self._more += 1

    def _shown(self, name: str) -> str:
        name = name.encode("utf-8", "replace").decode()
        return name if self._masks is None else self._masks.text(name)

    def write(self) -> None:
        """Write the list.

        Raises:
            OSError: it cannot be written.
        """
        if self._more:
            self._left_out.append(LeftOut("…", f"and {self._more} more"))
        self._files.write_artifacts(self._kept, self._left_out)


def keep_artifacts(
    files: RunFiles,
    request: Mapping[str, Any],
    masks: Masks | None,
    loop: Loop,
    stopped: Callable[[], bool],
) -> None:
    """Keep the files that a run's request names, and go on hearing what the loop hears until they are there.

    Args:
        files: of the run.
        request: `artifacts`, the patterns; `user`, if it ran as somebody else. The working directory of this
            process is its folder still, wherever that was moved.
        masks: what names must not show.
        loop: of the supervisor.
        stopped: returns whether to keep no more.
    """
    until = time.monotonic() + _SECONDS
    over: list[bool] = []
    done, bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    collection = _Collection(
        files, masks, _owner(request.get("user")), lambda: stopped() or time.monotonic() > until
    )

    def collect() -> None:
        try:
            folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for pattern in request["artifacts"]:
                    collection.take(folder, pattern)
            finally:
                os.close(folder)
            collection.write()
        except OSError:  # the folder is gone, or the disk is full: then there is no list
            pass
        finally:
            over.append(True)
            os.close(bell)

    loop.hear(done, lambda _events, _now: loop.forget(done))
    try:
        _thread.start_new_thread(collect, ())
    except RuntimeError:  # the run met its limit of processes
        collect()
    now = time.monotonic()
    while not over and now < until + 1:
        now = loop.turn(until + 1, now)
    loop.forget(done)
    os.close(done)


def _owner(user: object) -> int | None:
    if not isinstance(user, str) or os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1  # nobody's
