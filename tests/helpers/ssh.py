"""A machine that ssh reaches: a real client and a real sshd, of this user, without a port.

For each connection the client's ProxyCommand starts an sshd of its own on a socket, as inetd does: nothing
listens, and a test ends the network by ending that process. `ssh` on the PATH of a test is the real one with
the test's configuration, `runcast` on the machine is a script of the test, which names the machine's store.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.programs import program
from tests.helpers.wait import MS, wait_until

NAME = "far"
_CONFIG = """
Host *
{more}
  HostName 127.0.0.1
  ProxyCommand {setsid} {sshd} -i -e -f {folder}/sshd_config 2>>{folder}/sshd.log
  IdentityFile {folder}/key
  IdentitiesOnly yes
  IdentityAgent none
  BatchMode yes
  UserKnownHostsFile {folder}/known
  StrictHostKeyChecking accept-new
  GlobalKnownHostsFile none
"""
_SSHD_CONFIG = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
"""


class Machine(NamedTuple):
    """A machine that ssh reaches.

    Attributes:
        folder: of its keys and its scripts.
        program: the path of `runcast` there.
    """

    folder: Path
    program: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"ssh://{NAME}/?runcast={self.program}"

    def write_program(self, script: str) -> None:
        """Have `runcast` there be another script; `$RUNCAST` in it is the real one."""
        real = f"{shlex.quote(sys.executable)} -m runcast"
        self.program.write_text(f'#!/bin/sh\necho $$ >>{self.folder}/bridges\nRUNCAST="{real}"\n{script}\n')
        self.program.chmod(0o755)

    def configure(self, more: str = "") -> None:
        """Write the configuration of the client; further lines go before its own."""
        (self.folder / "config").write_text(
            _CONFIG.format(folder=self.folder, setsid=program("setsid"), sshd=program("sshd"), more=more)
        )

    def pids(self, of: str) -> list[int]:
        """Return the processes that go on: of `clients`, which are ssh, or of `bridges`."""
        found = self.folder / of
        listed = map(int, found.read_text().split()) if found.exists() else ()
        return [pid for pid in listed if _goes_on(pid)]

    def end(self, of: str, number: int) -> None:
        """Send a signal to all of them; where that kills, wait until they are gone."""
        for pid in self.pids(of):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGKILL:
            wait_until(lambda: not self.pids(of), timeout=5000 * MS, what=f"the end of all {of}")


def _goes_on(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def machine(folder: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Give a machine with this store; what of it is left is gone at the end of the block."""
    ssh = program("ssh")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # by Debian's rules it is made when a machine starts
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "sshd_config").write_text(_SSHD_CONFIG.format(folder=folder))
    (folder / "bin").mkdir()
    script = folder / "bin" / "ssh"
    script.write_text(f'#!/bin/sh\necho $$ >>{folder}/clients\nexec {ssh} -F {folder}/config "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
    there = Machine(folder, folder / "there" / "runcast")
    there.program.parent.mkdir()
    there.configure()
    # The first line is as of the start-up files of a shell, and no part of the connection.
    there.write_program(f'echo "Welcome to {NAME}"\nRUNCAST_STORE={shlex.quote(store)} exec $RUNCAST "$@"')
    try:
        yield there
    finally:
        for of in ("clients", "bridges"):
            there.end(of, signal.SIGKILL)
