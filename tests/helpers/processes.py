"""What a process holds, as the kernel counts it."""

from pathlib import Path
from typing import NamedTuple

MIB = 1024 * 1024


class Held(NamedTuple):
    """What a process may forget to give back."""

    fds: int
    connections: int
    threads: int
    watches: int
    zombies: int
    resident: int

    @classmethod
    def of(cls, pid: int) -> "Held":
        """Count what a process holds now."""
        status = status_of(pid)
        targets = []
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                targets.append(str(fd.readlink()))
            except FileNotFoundError:
                continue
        return cls(
            fds=len(targets),
            connections=_connections(pid, targets),
            threads=int(status["Threads"]),
            watches=watches(pid),
            zombies=len(zombies(pid)),
            resident=int(status["VmRSS"].split()[0]) * 1024,
        )

    def within(self, former: "Held", memory: int = 10 * MIB) -> bool:
        """Return whether nothing grew since, and the memory by less than a bound."""
        return self.resident < former.resident + memory and all(
            now <= then for now, then in zip(self[:-1], former[:-1], strict=True)
        )


def status_of(pid: int | str) -> dict[str, str]:
    """Return what the kernel says of a process in its `status`."""
    pairs = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}


def peak_kib(pid: int) -> int:
    """Return the most memory that a process ever had."""
    return int(status_of(pid)["VmHWM"].split()[0])


def watches(pid: int | str = "self") -> int:
    """Return how many inotify watches a process has."""
    count = 0
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            count += path.read_text().count("inotify wd:")
        except OSError:  # the descriptor of the listing itself
            continue
    return count


def zombies(pid: int) -> list[int]:
    """Return the children of a process that ended and were not waited for."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if Path(f"/proc/{child}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
                found.append(int(child))
        except FileNotFoundError:
            continue
    return found


def _connections(pid: int, targets: list[str]) -> int:
    """Return how many of the open sockets are connections of TCP that were accepted."""
    sockets = {target[8:-1] for target in targets if target.startswith("socket:[")}
    found = 0
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            found += fields[3] != "0A" and fields[9] in sockets  # 0A: it listens
    return found
