"""Checks of the store: whether it can be used, what its disk has left, and what kind of disk that is."""

from __future__ import annotations

from runcast.doctor.facts import Facts, Finding, hint, ok, problem

__all__ = ["disk", "file_system", "files", "store"]

_FULL_BYTES, _LOW_BYTES = 100 << 20, 1 << 30
_LOW_SHARE = 0.05
_FULL_FILES, _LOW_FILES = 1000, 100_000  # a run is some ten files and folders
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"}
_TEMPORARY = ("/tmp/", "/var/tmp/")
_MEMORY = {"tmpfs", "ramfs"}


def store(facts: Facts) -> Finding:
    """Whether runs can be started in it."""
    found = facts.store
    if found.fault:
        return problem("store", found.fault, "name another with --store")
    if found.write_error:
        return problem(
            "store", f"nothing can be written to {found.path}: {found.write_error}", "make it writable"
        )
    if found.lock_error:
        return problem(
            "store", f"files in {found.path} cannot be locked: {found.lock_error}", "use a local disk"
        )
    return ok(
        "store", f"{found.path} can be written" + ("" if found.there else ", and is made by the first run")
    )


def disk(facts: Facts) -> Finding:
    """Whether there is room for output."""
    amount = facts.store.bytes
    if amount is None or amount.left is None or amount.most is None:
        return ok("disk", "it does not say how much is left")
    text = f"{amount.left / (1 << 30):,.1f} GiB of {amount.most / (1 << 30):,.1f} GiB are left"
    advice = (
        "remove runs (`runcast prune --older-than 30d`), and have a rule (keep=): what has no room is dropped"
    )
    if amount.left < _FULL_BYTES:
        return problem("disk", text, advice)
    if amount.left < min(_LOW_BYTES, amount.most * _LOW_SHARE):
        return hint("disk", text, advice)
    return ok("disk", text)


def files(facts: Facts) -> Finding:
    """Whether there is room for the files of more runs."""
    amount = facts.store.files
    if amount is None or amount.left is None or not amount.most:
        return ok("inodes", "this file system has no number of them")
    text = f"{amount.left:,} of {amount.most:,} are left"
    advice = "remove runs (`runcast prune --keep 1000`): each is some ten files"
    if amount.left < _FULL_FILES:
        return problem("inodes", text, advice)
    return hint("inodes", text, advice) if amount.left < _LOW_FILES < amount.most else ok("inodes", text)


def file_system(facts: Facts) -> Finding:
    """Whether the disk keeps what is written, and tells readers of it."""
    kind, path = facts.store.file_system, facts.store.path
    if facts.unit is not None and facts.unit.private_tmp and path.startswith(_TEMPORARY):
        text = f"{path} is gone when {facts.unit.name} stops (PrivateTmp=yes)"
        return problem("file system", text, "keep the store below /var/lib (StateDirectory=runcast)")
    if kind in _NETWORK or kind.startswith("fuse."):
        return hint(
            "file system",
            f"{path} is on {kind}: readers on other machines get no events, and look ten times a second; "
            "a lock may be lost with the connection",
            "use a local disk, and `runcast serve` for other machines",
        )
    if kind in _MEMORY:
        return hint(
            "file system", f"{path} is on {kind}: it takes memory, and a reboot takes it", "use a disk"
        )
    if kind == "overlay":
        return hint(
            "file system",
            f"{path} is on overlay, the layer of a container: it is gone with the container",
            "mount a volume there",
        )
    return ok("file system", f"{path} is on {kind or 'one that does not show'}")
