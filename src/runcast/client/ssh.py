"""A machine that ssh reaches: its address, and a connection to the `runcast bridge` that ssh starts there.

Owns the command line of ssh, its process, and what its end means. A connection is one process and one socket,
which speaks HTTP behind a first line of the bridge; what the remote shell prints before that is passed over.
Logging in is the matter of ssh, which prompts for passwords and about host keys at the terminal. How it
connects (keys, jumps, sharing of connections) stays in the user's configuration of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote

from runcast.client.actions import NetworkError
from runcast.errors import UsageError
from runcast.own_thread import Background, begin

__all__ = ["BY_SSH", "HELLO", "LEAVE_SECONDS", "LOGIN_SECONDS", "Destination", "Link", "greeting"]

BY_SSH = "http://localhost"  # to which requests go, since a bridge has no address
_BRIDGE = b"runcast bridge "
HELLO = _BRIDGE + b"1 "  # begins the first line of a bridge; its version follows
LOGIN_SECONDS = 120.0  # sshd gives up then, too (LoginGraceTime): until the bridge says hello
_HELLO_BYTES = 64 * 1024  # that a remote shell may print before
_EXIT_SECONDS = 2.0  # that ssh needs to end behind its output
LEAVE_SECONDS = 1.0  # … and behind its input, unless what it started there heeds no end of that
_ALONE = "controlmaster false"  # by `ssh -G`: no other ssh shares its connection
_PIECE_BYTES = 64 * 1024
_STDERR_SECONDS = 0.5  # that the last of it takes to be read behind the end of ssh
_SHOWN = 300  # characters of what ssh says
_USUAL = "runcast"
# No letter of these means anything to a shell: an address may come from elsewhere, and configurations of
# ssh put the host into commands (ProxyCommand, Match exec).
_HOST = re.compile(r"[A-Za-z0-9_.:%][A-Za-z0-9_.:%-]*")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+-]*")
_NEVER = ("Permission denied", "Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")
# Whatever the configuration says for people: a bridge needs neither a terminal nor their forwarded ports.
_OPTIONS = ("ClearAllForwardings=yes", "ForwardX11=no", "PermitLocalCommand=no", "RemoteCommand=none")
# Where the configuration says nothing: a connection that is gone is noticed. By `ssh -G`, and its defaults.
_UNLESS_SET = {
    ("serveraliveinterval", "0"): "ServerAliveInterval=15",
    ("connecttimeout", "none"): "ConnectTimeout=15",
}
# Ctrl-C is for the run: a connection that it ended could not pass it on.
_HEEDLESS = 'trap "" INT; exec "$@"'


class Destination(NamedTuple):
    """Where ssh goes, and what it starts there.

    Attributes:
        host: a name that ssh knows, or an address.
        user: empty for the one that ssh chooses.
        port: None for the one that ssh chooses.
        program: the path of `runcast` there.
    """

    host: str
    user: str = ""
    port: int | None = None
    program: str = _USUAL

    @classmethod
    def parse(cls, parts: SplitResult) -> Destination:
        """Read an address, `ssh://[USER@]HOST[:PORT]/[?runcast=PATH]`, that was split.

        Raises:
            UsageError: it is no such address.
        """
        user, _, place = parts.netloc.rpartition("@")
        found = re.fullmatch(r"(?:\[([^]]*)\]|([^:]*))(?::(\d{1,5}))?", place)
        host = found and unquote(found[1] or found[2])
        port = int(found[3]) if found and found[3] else None
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        program = query.pop("runcast", _USUAL)
        good = host and _HOST.fullmatch(host) and (not user or _USER.fullmatch(unquote(user)))
        if not good or port == 0 or (port or 0) > 65535 or not program.strip() or not program.isprintable():
            raise UsageError(
                "expected an address such as ssh://[USER@]HOST[:PORT]/, with a host and a user of letters, "
                f"digits and ._- alone, got {parts.scheme}://{parts.netloc!r:.200}"
            )
        assert host
        return cls(host, unquote(user), port, program)

    def __str__(self) -> str:
        user = f"{quote(self.user)}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else quote(self.host)
        port = f":{self.port}" if self.port is not None else ""
        program = f"?runcast={quote(self.program)}" if self.program != _USUAL else ""
        return f"ssh://{user}{host}{port}/{program}"

    def _target(self) -> list[str]:
        user = ["-l", self.user] if self.user else []
        port = ["-p", str(self.port)] if self.port is not None else []
        return [*user, *port, "-T", *(word for option in _OPTIONS for word in ("-o", option))]

    def query(self) -> list[str]:
        """Return the arguments with which ssh prints what its configuration says of this host."""
        return ["-G", *self._target(), "--", self.host]

    def arguments(self, configured: str) -> list[str]:
        """Return the arguments that start the bridge; `configured` is what ssh printed for `query`."""
        settings = [line.partition(" ")[::2] for line in configured.splitlines()]
        more = [option for setting, option in _UNLESS_SET.items() if setting in settings]
        # `~/` is the remote shell's to expand, and so is not quoted.
        head, rest = ("~/", self.program[2:]) if self.program.startswith("~/") else ("", self.program)
        remote = f"{head}{shlex.quote(rest)} bridge"
        return [
            *self._target(),
            *(word for option in more for word in ("-o", option)),
            "--",
            self.host,
            remote,
        ]


class Link:
    """A running ssh, as a socket.

    Attributes:
        socket: what the bridge reads and writes.
        doubtful: another one has just turned out to be dead, so nothing new is begun with this one.
    """

    doubtful = False

    def __init__(self, destination: Destination) -> None:
        """Start it.

        Raises:
            NetworkError: there is no ssh.
        """
        ssh = shutil.which("ssh")
        if ssh is None:
            raise NetworkError("expected the program ssh, there is none: install openssh-client", final=True)
        configured = subprocess.run(
            [ssh, *destination.query()], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        command = ["/bin/sh", "-c", _HEEDLESS, "sh", ssh, *destination.arguments(configured.stdout)]
        self._destination = destination
        self._code: int | None = None
        self._reaping = threading.Lock()
        self._alone = _ALONE in configured.stdout.splitlines()
        self._closed: float | None = None  # when
        self.socket, theirs = socket.socketpair()
        read, write = os.pipe()
        self._stderr = b""  # the end of it
        self._reader = Background(self._read_stderr, "ssh stderr", (read,))
        with theirs:
            try:
                begin(self._reader)
                fds = (theirs.fileno(), theirs.fileno(), write)
                actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)]
                self._pid: int | None = os.posix_spawn(
                    command[0], command, os.environ, file_actions=actions, setsigdef=[signal.SIGPIPE]
                )
            finally:
                os.close(write)

    def _read_stderr(self, fd: int) -> None:
        """Keep the end of what ssh and the bridge write, of which there may be any amount."""
        with open(fd, "rb", buffering=0) as file:
            while data := file.read(_PIECE_BYTES):
                self._stderr = (self._stderr + data)[-4 * _SHOWN :]

    def close(self) -> None:
        """End it, by the end of its input: it is not killed at once, another may share its connection."""
        if self._closed is None:
            self._closed = time.monotonic()
            self.socket.close()

    def reap(self) -> bool:
        """Return whether it has ended; call it now and then once it is closed.

        One that was closed `LEAVE_SECONDS` ago is ended by a signal, unless others may share its connection.
        """
        with self._reaping:
            if self._pid is not None and self._alone and self._closed is not None:
                if time.monotonic() - self._closed >= LEAVE_SECONDS:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self._pid, signal.SIGTERM)
            if self._pid is not None:
                try:
                    pid, status = os.waitpid(self._pid, os.WNOHANG)
                except ChildProcessError:  # somebody reaps all children of this process
                    self._pid = None
                    return True
                if pid:
                    self._pid, self._code = None, os.waitstatus_to_exitcode(status)
            return self._pid is None

    def hello(self, line: bytes) -> bool:
        """Return whether a line is the first one of a bridge.

        Raises:
            NetworkError: the bridge is of another kind.
        """
        if line.startswith(HELLO):
            return True
        if line.startswith(_BRIDGE):
            raise NetworkError(
                f"expected {HELLO.decode().strip()}, got {line[:80].decode('ascii', 'replace').strip()}: "
                "install the same version of runcast on both machines",
                final=True,
            )
        return False

    def ended(self, printed: bytes = b"") -> NetworkError | None:
        """Return why it ended; None where it did so as it should. Waits a moment for its exit.

        Args:
            printed: what it wrote in place of the bridge's first line.
        """
        until = time.monotonic() + _EXIT_SECONDS
        while not self.reap() and time.monotonic() < until:
            time.sleep(0.005)
        where, program = self._destination.host, self._destination.program
        said = self._said() or " ".join(printed.decode("utf-8", "replace").split())[-_SHOWN:]
        behind = f": {said}" if said else ""
        if self._code in (126, 127):
            return NetworkError(
                f"expected the program {program} on {where}, its shell finds none{behind}; install it there "
                "(pip install 'runcast[server]'), or name it: ssh://HOST/?runcast=PATH",
                final=True,
            )
        if self._code == 0:
            return None
        if self._code == 255:
            said = self._said() or "its connection is gone"
            return NetworkError(f"ssh failed: {said}", final=any(one in said for one in _NEVER))
        if self._code is None or self._code < 0:
            return NetworkError(f"ssh is gone{behind}")
        return NetworkError(f"the bridge ended with exit code {self._code}{behind}", final=self._code == 2)

    def _said(self) -> str:
        """Return the last that ssh and the bridge said, as one line."""
        self._reader.join(_STDERR_SECONDS)  # what else has it may go on
        text = self._stderr.decode("utf-8", "replace")
        shown = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        return shown if len(shown) <= _SHOWN else f"…{shown[-_SHOWN:]}"


def greeting(link: Link, got: bytes) -> bool:
    """Return whether what came so far has the bridge's first line, which is the end of it.

    Raises:
        NetworkError: it will not.
    """
    lines = got.split(b"\n")
    if len(lines) > 1 and link.hello(lines[-2]):
        return True
    if len(got) > _HELLO_BYTES:
        raise NetworkError(
            "expected the bridge's first line, got something else "
            f"({got[:60]!r}…): have the start-up files of the shell there print nothing",
            final=True,
        )
    return False
