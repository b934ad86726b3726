"""The C programs of the benchmarks: compiled with gcc when they are first needed."""

from __future__ import annotations

import os
import shutil
import subprocess

from bench.row import Skipped

__all__ = ["BUILD", "program"]

_HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = f"{_HERE}/build"
"""Where everything that is made goes; git ignores it."""


def program(name: str) -> str:
    """Return the path of a program, compiled anew if its source is younger.

    Raises:
        Skipped: there is no C compiler.
    """
    source, target = f"{_HERE}/c/{name}.c", f"{BUILD}/{name}"
    if os.path.exists(target) and os.path.getmtime(target) >= os.path.getmtime(source):
        return target
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Skipped(f"expected a C compiler for {name}.c, there is none: install gcc")
    os.makedirs(BUILD, exist_ok=True)
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", target, source], check=True)
    return target
