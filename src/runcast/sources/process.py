"""Functions in a process of their own: what goes into it, and what happens inside.

Owns both ends: `pack` checks that a function can be imported and its arguments pickled, and
`main` is what the supervised interpreter executes. There everything that reaches descriptors 1
and 2 is output, of C code and of other programs as well; a stop is an exception in the main
thread; the return value goes into a file that the supervisor reads at the end.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runcast.errors import RunStopped, UsageError
from runcast.sources import here
from runcast.sources.recording import ending
from runcast.supervisor.launch import PACKAGE_ROOT, interpreter
from runcast.sysio import open_own

__all__ = ["CALL", "argv", "main", "pack"]

CALL = "call"  # in the run's folder
_inside = False  # whether this process is being made ready for a call


def argv() -> list[str]:
    """Return the command that makes a call; the run's folder goes behind it."""
    code = f"import sys; sys.path.insert(0, {PACKAGE_ROOT!r}); from runcast.sources.process import main; "
    return [interpreter(), "-c", code + "main(sys.argv[1])"]


def pack(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """Return a call as bytes.

    Raises:
        UsageError: the function cannot be imported by another process, or an argument not be pickled.
    """
    name = getattr(function, "__qualname__", repr(function))
    if _inside:
        raise UsageError(
            f'expected {name!r} to be started under `if __name__ == "__main__":`, since its process '
            "imports this file as well"
        )
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is sys.modules["__main__"] and not _main_file():
        raise UsageError(
            f"expected a function that another process can import, {name!r} was typed into a session: "
            "put it into a file, or leave process=True out"
        )
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError):
        raise UsageError(
            f"expected a function that another process can import, got {name!r}: process=True needs "
            "one at the top of a module (no lambda, none inside another): move it, or leave process=True out"
        ) from None
    try:
        call = pickle.dumps((function, tuple(args), dict(kwargs)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"expected arguments for {name!r} that can be pickled, for it runs in another process: {error}; "
            "pass what they are made from, or leave process=True out"
        ) from None
    return pickle.dumps((_surroundings(call), call))


def _main_file() -> str | None:
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return file if file and os.path.exists(file) else None


def _surroundings(pickled: bytes) -> dict[str, Any]:
    """Return what the other process needs to know of this one (see `multiprocessing.spawn.prepare`)."""
    known: dict[str, Any] = {"sys_path": [path or os.getcwd() for path in sys.path], "sys_argv": sys.argv}
    if b"__main__" in pickled and _main_file():
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        if spec is not None:
            known["init_main_from_name"] = spec.name
        else:
            known["init_main_from_path"] = os.path.abspath(_main_file() or "")
    return known


def main(folder: str) -> None:
    """Make the call that is packed in a run's folder, and leave with its exit code."""
    import signal
    from multiprocessing import spawn

    run = here.ChildRun(folder)

    def stop(*_: object) -> None:
        run.stop()

    signal.signal(signal.SIGTERM, stop)
    here.process_run = run
    code, message, value = 1, "", None
    try:
        with open(open_own(f"{folder}/{CALL}", os.O_RDONLY), "rb") as file:
            surroundings, call = pickle.load(file)
        _prepare(spawn, surroundings)
        function, args, kwargs = pickle.loads(call)
        value = function(*args, **kwargs)
        if hasattr(value, "__await__"):
            import asyncio

            value = asyncio.run(_await(value))
        code = 0
    except RunStopped:
        run.flush()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _flush()
        os.kill(os.getpid(), signal.SIGTERM)
    except BaseException as error:
        code, said, message = ending(error, skip=1)
        print(said, end="", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it has ended, whatever comes now
    run.end(value, message)
    _flush()
    sys.exit(code)


async def _await(value: Any) -> Any:
    return await value


def _prepare(spawn: Any, surroundings: dict[str, Any]) -> None:
    global _inside
    _inside = True
    try:
        spawn.prepare(surroundings)
    except SystemExit:  # a server that found its port taken by the one that started us, say
        print(
            "expected a program that can be imported, it ended the process: put what it does under "
            '`if __name__ == "__main__":`',
            file=sys.stderr,
        )
        raise
    finally:
        _inside = False


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
