"""The child that promises about output are tested with, and the oracle that judges what arrived.

The child prints numbered, checksummed lines on each of its channels. Before it writes to a
channel it writes the same bytes to a private copy, so the copy is never behind. Whoever watched
keeps raw bytes, `Collected`; these are compared with the copy byte by byte, or, where the copy
is out of reach, `judge` counts what is lost, duplicated, reordered and damaged.
"""

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from runcast import Channel, Chunk
from runcast.run.base import RunBase, files_of
from tests.helpers.wait import MS, wait_until

PYTHON = [sys.executable, "-I", "-S", "-c"]
"""What a child in Python begins with: starts in 10 ms and reads nothing of the user's."""

_CHILD = r"""
import os, signal, sys, time, zlib

folder, channels, lines, block, width, pause, last = sys.argv[1:]
lines, block, width, pause, (how, number) = int(lines), int(block), int(width), float(pause), last.split()
channels = channels.split(",")
fds = {"stdout": 1, "stderr": 2}
copies = {c: os.open(f"{folder}/{c}.copy", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for c in channels}
fill = b"abcdefghijklmnopqrstuvwxyz0123456789" * (width // 36 + 1)

def line(channel, at):
    head = b"%s %09d " % (channel.encode(), at)
    body = fill[at % 36 :][: max(width - len(head) - 10, 0)]
    return b"%s%08x %s\n" % (head, zlib.crc32(head + body), body)

def write(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

signal.signal(signal.SIGPIPE, signal.SIG_DFL)
at = 0
while at < lines if lines else not os.path.exists(f"{folder}/enough"):
    until = min(at + block, lines) if lines else at + block
    for channel in channels:
        data = b"".join(line(channel, number) for number in range(at, until))
        write(copies[channel], data)
        write(fds[channel], data)
    at = until
    if pause:
        time.sleep(pause)
if how == "signal":
    if int(number) not in (9, 19):
        signal.signal(int(number), signal.SIG_DFL)
    os.kill(os.getpid(), int(number))
os._exit(int(number))
"""


@dataclass(frozen=True)
class Printer:
    """A command that prints checksummed lines.

    Attributes:
        folder: where it keeps its copies.
        lines: of each channel; 0 for no end before `enough` was called.
        channels: stdout and stderr, in turns, or one of them.
        block: lines in one write.
        width: bytes of a line, about.
        pause: seconds between two writes; 0 for as fast as it can.
        last: `exit N` or `signal N`, right behind the last write.
    """

    folder: Path
    lines: int = 1000
    channels: tuple[str, ...] = ("stdout", "stderr")
    block: int = 10
    width: int = 80
    pause: float = 0.0
    last: str = "exit 0"

    @property
    def argv(self) -> list[str]:
        """The command."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = (self.lines, self.block, self.width, self.pause, self.last)
        return [*PYTHON, _CHILD, str(self.folder), ",".join(self.channels), *map(str, options)]

    def enough(self) -> None:
        """Have a child without a number of lines end."""
        (self.folder / "enough").touch()

    def copy(self, channel: str) -> bytes:
        """What the child wrote, or was about to write, to a channel."""
        path = self.folder / f"{channel}.copy"
        return path.read_bytes() if path.exists() else b""


@dataclass
class Collected:
    """What one client got, and whether the offsets it got were without a hole.

    Attributes:
        next: the offset behind the last chunk.
        data: all bytes, in the order of the log.
        gaps: the ranges that the log said were dropped.
        faults: what was wrong with the offsets; empty if nothing.
    """

    next: int = 0
    data: bytearray = field(default_factory=bytearray)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _channels: dict[str, bytearray] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Take one chunk."""
        if chunk.offset != self.next:
            self.faults.append(f"expected offset {self.next}, got {chunk.offset}")
        length = 0 if chunk.channel is Channel.GAP else chunk.next - chunk.offset
        if len(chunk.data) != length:
            self.faults.append(f"expected {length} bytes at {chunk.offset}, got {len(chunk.data)}")
        if chunk.channel is Channel.GAP:
            self.gaps.append((chunk.offset, chunk.next))
        self.next = chunk.next
        self.data += chunk.data
        self._channels.setdefault(chunk.channel, bytearray()).extend(chunk.data)

    def of(self, channel: str) -> bytes:
        """Return the bytes of one channel."""
        return bytes(self._channels.get(channel, b""))


def collect(chunks: Iterable[Chunk | None]) -> Collected:
    """Take all chunks of a follower, to the end of its log."""
    collected = Collected()
    for chunk in chunks:
        if chunk is not None:
            collected.add(chunk)
    return collected


class Verdict(NamedTuple):
    """What the oracle says of some output; all but `lines` are 0 if all is well."""

    lines: int
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    damaged: int = 0


def judge(data: bytes) -> Verdict:
    """Judge output of a `Printer` by itself: each line must be whole and each channel in order."""
    *lines, rest = data.split(b"\n")
    damaged = 1 if rest else 0
    numbers: dict[bytes, list[int]] = {}
    for line in lines:
        try:
            channel, number, crc, body = line.split(b" ", 3)
            if int(crc, 16) != crc32(b"%s %s " % (channel, number) + body):
                raise ValueError(line)
            numbers.setdefault(channel, []).append(int(number))
        except ValueError:
            damaged += 1
    return Verdict(
        lines=len(lines),
        lost=sum(max(seen) + 1 - len(set(seen)) for seen in numbers.values()),
        duplicated=sum(len(seen) - len(set(seen)) for seen in numbers.values()),
        reordered=sum(
            sum(later < former for former, later in itertools.pairwise(seen)) for seen in numbers.values()
        ),
        damaged=damaged,
    )


def run_python(code: str, *args: object, timeout: float = 30000 * MS) -> str:
    """Run Python code in a process of its own, with `sys.argv[1:]` as given; return what it printed.

    For what only a process of its own can do: other limits, another umask, dying. Its errors
    fail the test.
    """
    __tracebackhide__ = True
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
        text=True,
    )
    assert done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def marked(run_id: str) -> list[int]:
    """Return the processes whose environment says that they belong to a run."""
    mark = f"RUNCAST_RUN_ID={run_id}".encode()
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                found.append(int(name))
        except OSError:  # gone since, or somebody else's
            continue
    return found


def supervisor_of(run: RunBase) -> int:
    """Return the process that supervises a run, as soon as the run's state has it."""
    pid: int = wait_until(lambda: files_of(run).state().get("supervisor"), what="a supervisor")
    return pid


def fds(pid: int | str = "self") -> int:
    """Return how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
