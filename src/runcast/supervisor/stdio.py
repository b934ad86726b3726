"""What a command has as descriptors 0, 1 and 2, and the other ends that its supervisor keeps.

Owns both ends from their making until the command is spawned: then the command's ends are closed
here. How they get into the child is `actions`, in the terms of posix_spawn(3), so that it does not
matter to the spawn whether they are pipes or a terminal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runcast.model import Channel
from runcast.supervisor.pump import Pipe
from runcast.supervisor.stdin import StdinWriter

if TYPE_CHECKING:
    from runcast.supervisor.terminal import Terminal

__all__ = ["Stdio"]


class Stdio:
    """The descriptors of one command. Whatever its making fails at, `close` closes the rest.

    Attributes:
        pipes: the reading ends of its output.
        terminal: that among them which is a terminal; None where none is.
    """

    def __init__(self) -> None:
        self.pipes: list[Pipe] = []
        self.terminal: Terminal | None = None
        self._theirs: list[int] = []
        self._actions: list[tuple[Any, ...]] = []

    def open(self, stdin: StdinWriter, given: int | None, request: Mapping[str, Any]) -> None:
        """Open what the command reads and what it writes to.

        Args:
            stdin: the writing end; opened where the command reads what is sent to it.
            given: a descriptor to read from, which is closed with the others.
            request: `stdin`, `tty`, `columns` and `rows`; see `Supervision`.

        Raises:
            NoTerminal: there is no terminal to be had.
            OSError: there are too few descriptors.
        """
        if given is not None:
            self._theirs.append(given)
        tty = request.get("tty", False)
        if tty:
            from runcast.supervisor.terminal import Terminal, Typist  # few runs have one

            self.terminal = Terminal(request["columns"], request["rows"])
            self.pipes.append(self.terminal)
            if tty is True:
                # The first terminal that a leader of a session opens without O_NOCTTY is its own.
                self._actions = [
                    (os.POSIX_SPAWN_OPEN, 0, self.terminal.path, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                ]
                stdin.open_terminal(os.dup(self.terminal.fd), Typist(self.terminal.fd).type)
                return
        if given is None and request.get("stdin") == "pipe":
            self._theirs.append(stdin.open())
        elif given is None:
            self._theirs.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for channel in (Channel.STDOUT, Channel.STDERR):
            if self.terminal is not None and channel is Channel.STDOUT:
                self._theirs.append(os.open(self.terminal.path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
                continue
            reading, writing = os.pipe2(os.O_CLOEXEC)
            self.pipes.append(Pipe(reading, channel))
            self._theirs.append(writing)
        self._actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(self._theirs)]

    @property
    def actions(self) -> Sequence[tuple[Any, ...]]:
        """What posix_spawn(3) does with descriptors in the child."""
        return self._actions

    def spawned(self) -> None:
        """Close the command's ends here, since it alone has them now, and make ours ready to be polled."""
        self._close_theirs()
        for pipe in self.pipes:
            os.set_blocking(pipe.fd, False)

    def _close_theirs(self) -> None:
        for fd in self._theirs:
            os.close(fd)
        self._theirs.clear()

    def close(self) -> None:
        """Close all: there is no command."""
        self._close_theirs()
        for pipe in self.pipes:
            pipe.let_go()
            os.close(pipe.fd)
        self.pipes.clear()
