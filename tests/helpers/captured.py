"""Scripts that capture what they print, each in a process of its own."""

import subprocess
import sys
import textwrap
from pathlib import Path

from tests.helpers.wait import MS

# A run whose log is a file that nobody else writes: `OUT` is its stdout, `ERR` its stderr.
PROLOGUE = """
import os, sys
from runcast.model import Channel
from runcast.sources.capture import capturing
from runcast.sources.printer import Printer

def append(channel, data):
    with open(channel.name, "ab") as file:
        file.write(data)

printer = Printer(append)
"""


class Ran:
    """A script that has run: what it printed outside its run, and what in it."""

    def __init__(self, folder: Path, process: subprocess.CompletedProcess[str]) -> None:
        self.stdout, self.stderr, self.code = process.stdout, process.stderr, process.returncode
        self.out, self.err = (
            path.read_text() if (path := folder / name).exists() else "" for name in ("STDOUT", "STDERR")
        )


def script(folder: Path, text: str, *options: str, shell: str = '"$@"', before: str = "") -> Ran:
    """Run a script to its end, with the interpreter's options, and return what it printed."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(before) + PROLOGUE + textwrap.dedent(text))
    process = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, *options, str(path)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30_000 * MS,
    )
    return Ran(folder, process)
