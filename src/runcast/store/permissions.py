"""Who else may write to a store: refused where all may, warned of where a group may.

Owns the judgement of modes and owners of a store's folder and of those above it. Anybody who may write
there can put files into the store or another folder in its place, which then has what this user's
commands print and is read as what they printed. The sticky bit, as /tmp has it, keeps others from
that. Knows nothing of what is in a store.
"""

from __future__ import annotations

import contextlib
import os
import stat

from runcast import loggers
from runcast.errors import StoreUnusable

__all__ = ["check_parents", "check_writers", "user_name"]

_warned: set[str] = set()


def check_writers(path: str, status: os.stat_result) -> None:
    """Refuse a store's folder that everybody can write to; warn of one that a group can.

    Args:
        path: the folder.
        status: what `os.stat` says of it.

    Raises:
        StoreUnusable: everybody can write to it, or put another in its place.
    """
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        raise StoreUnusable(
            f"expected a store that only this user can write to, everybody can write to {path} "
            f"(mode {mode:04o}): `chmod go-w {path}`, or use another (--store, RUNCAST_STORE)"
        )
    check_parents(path)
    if mode & stat.S_IWGRP and path not in _warned and not _is_own_group(status.st_gid):
        _warned.add(path)
        loggers.warning(
            "store",
            "the group %s can write to the store %s and change what runs have printed: chmod g-w %s",
            *(_group_name(status.st_gid), path, path),
        )


def check_parents(path: str) -> None:
    """Refuse a folder in whose place everybody can put another.

    Raises:
        StoreUnusable: a folder above it lets them.
    """
    above = os.path.realpath(path)
    while above != (above := os.path.dirname(above)):
        try:
            mode = os.stat(above).st_mode
        except OSError:  # it is not there yet, or not to be looked at
            continue
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise StoreUnusable(
                f"expected a store in whose place nobody else can put another, everybody can in {above} "
                f"(mode {stat.S_IMODE(mode):04o}), which {path} is in: `chmod o-w {above}` or "
                f"`chmod +t {above}`, or use another (--store, RUNCAST_STORE)"
            )


def user_name(uid: int) -> str:
    """Return the name of this user; `user N` of another."""
    if uid == os.geteuid():
        with contextlib.suppress(Exception):
            import getpass

            return getpass.getuser()
    return f"user {uid}"


def _group_name(gid: int) -> str:
    with contextlib.suppress(Exception):
        import grp

        return grp.getgrgid(gid).gr_name
    return str(gid)


def _is_own_group(gid: int) -> bool:
    """Return whether a group is this user's alone, as many systems make one for each user."""
    with contextlib.suppress(Exception):
        import grp
        import pwd

        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
        return group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}
    return False
