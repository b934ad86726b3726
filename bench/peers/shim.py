"""The least that outlives its caller: a detached shell, the output in one file, the exit code in another."""

from __future__ import annotations

import os
import subprocess
import tempfile

__all__ = ["Shim"]

_SCRIPT = '"$@" >log 2>&1; echo $? >code'


class Shim:
    """One command under a shell of its own session; its files are in a folder made for it."""

    def __init__(self, parent: str, command: list[str]) -> None:
        self._folder = tempfile.mkdtemp(prefix="shim-", dir=parent)
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sh", *command],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = self._shell.pid

    def wait_for_output(self) -> bytes:
        """Return the first output; looks without a rest, which is the fastest way to see it."""
        path = f"{self._folder}/log"
        while True:
            try:
                with open(path, "rb") as file:
                    if data := file.read():
                        return data
            except FileNotFoundError:
                pass

    def kill(self) -> None:
        """Kill the shell and its command."""
        os.killpg(self.pid, 9)
        self._shell.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        self._shell.wait()
        with open(f"{self._folder}/code") as file:
            return int(file.read())
