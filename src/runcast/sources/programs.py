"""Capture of programs that a run's code starts: `programs=True`.

Owns the wrapper of `subprocess.Popen.__init__`, which is in place while such runs are active. Without
`stdout` or `stderr` a program would inherit the process's own; here it gets the run's. Programs started
in other ways (`os.system`, `os.posix_spawn`) are not captured.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from runcast.model import Channel
from runcast.sources.run_context import Sink, current

__all__ = ["include", "install", "restore"]

_sinks: weakref.WeakSet[Sink] = weakref.WeakSet()
_replaced: list[tuple[Callable[..., None], Callable[..., None]]] = []  # original and wrapper


def include(sink: Sink) -> None:
    """Capture the programs of this run's code."""
    _sinks.add(sink)


def install() -> None:
    """Wrap `Popen`, if there is any such run."""
    if _sinks and not _replaced:
        import subprocess

        own = subprocess.Popen.__init__
        _replaced.append((own, _starting(own)))
        setattr(subprocess.Popen, "__init__", _replaced[0][1])  # noqa: B010


def restore() -> None:
    """Restore `Popen`, unless other code has replaced the wrapper since."""
    while _replaced:
        import subprocess

        own, ours = _replaced.pop()
        if vars(subprocess.Popen)["__init__"] is ours:
            setattr(subprocess.Popen, "__init__", own)  # noqa: B010


def _starting(own: Callable[..., None]) -> Callable[..., None]:
    def __init__(
        self: object,
        args: Any,
        bufsize: int = -1,
        executable: Any = None,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        *more: Any,
        **options: Any,
    ) -> None:
        sink = current.get()
        if sink is not None and sink in _sinks and not getattr(sink, "closed", False):
            stdout = sink.fileno(Channel.STDOUT) if stdout is None else stdout
            stderr = sink.fileno(Channel.STDERR) if stderr is None else stderr
        own(self, args, bufsize, executable, stdin, stdout, stderr, *more, **options)

    return __init__
