"""Files that a run was started with: in its folder `files`, where its arguments name them.

Owns where a file lies and how the arguments of its command come to name it. Its own name is a client's and no
part of a path: it is in the run's `params`. Must not know what parameters are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from runcast.errors import UploadGone
from runcast.sysio.files import DIR_MODE, open_own
from runcast.sysio.uploads import Upload

__all__ = ["FILES", "again", "copy_in", "placed", "uploads_in"]

FILES = "files"  # the folder


def uploads_in(params: Mapping[str, Any] | None) -> dict[str, Upload]:
    """Return the files among the values of parameters."""
    return {name: one for name, one in (params or {}).items() if isinstance(one, Upload)}


def placed(
    argv: list[str] | None, uploads: Mapping[str, Upload], path: str
) -> tuple[list[str] | None, dict[str, Any]]:
    """Return arguments that name the files of the run at a path, and what `run.json` has of these."""
    if argv is None or not uploads:
        return argv, {}
    paths = {name: f"{path}/{FILES}/{name}{one.suffix}" for name, one in uploads.items()}
    found = list(argv)
    for name, one in uploads.items():
        found = [item.replace(one.token, paths[name]) for item in found]
    return found, {"files": paths}


def copy_in(folder: str, uploads: Mapping[str, Upload]) -> None:
    """Copy the files into the folder of a run.

    Raises:
        OSError: they cannot be written.
    """
    if uploads:
        os.mkdir(f"{folder}/{FILES}", DIR_MODE)
    for name, one in uploads.items():
        one.copy_to(f"{folder}/{FILES}/{name}{one.suffix}")


def again(run_id: str, folder: str, request: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Return the arguments of a run and the values of its parameters, for another start with the same files.

    Raises:
        UploadGone: one is not there any more.
    """
    argv, params = list(request["command"]), dict(request.get("params") or {})
    for name, path in (request.get("files") or {}).items():
        base = os.path.basename(path)
        try:
            fd = open_own(f"{folder}/{FILES}/{base}", os.O_RDONLY)
        except OSError:
            raise UploadGone(
                f"run {run_id} cannot be started again: its file {params.get(name, base)!r} ({name}) is not "
                "there any more: start it with a file"
            ) from None
        one = Upload(fd, 0, os.fstat(fd).st_size, str(params.get(name, base)))
        one.suffix = base.removeprefix(name)
        params[name] = one
        argv = [item.replace(path, one.token) for item in argv]
    return argv, params
