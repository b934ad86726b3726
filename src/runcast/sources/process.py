"""Functions in a process of their own: packing the call, and making it in the child.

Owns both ends. `pack` checks that a function can be imported and its arguments pickled; `main` is
executed by the supervised interpreter. There everything written to descriptors 1 and 2 is output, by
C code and other programs as well; a stop is an exception in the main thread; the return value goes
into a file that the supervisor reads at the end.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runcast.errors import RunStopped, UsageError
from runcast.sources import inside_run, line_stream
from runcast.sources.failures import error_report
from runcast.supervisor.launch import PACKAGE_ROOT, interpreter
from runcast.sysio.forks import at_fork

__all__ = ["argv", "main", "pack", "with_masks"]

_MAIN = "__mp_main__"  # what `multiprocessing.spawn` calls the script that it executes again
_inside = False  # whether this process is importing the modules of a call


def argv() -> list[str]:
    """Return the command that makes a call; append the run's folder to it."""
    code = f"import sys; sys.path.insert(0, {PACKAGE_ROOT!r}); from runcast.sources.process import main; "
    return [interpreter(), "-c", code + "main(sys.argv[1])"]


def pack(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """Serialize a call.

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
    return pickle.dumps((_surroundings(call, module), call))


def with_masks(call: bytes, values: list[str]) -> bytes:
    """Return what the process of a masked run reads from its stdin: a call, and what is to be masked."""
    return pickle.dumps(values) + call


def _main_file() -> str | None:
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return file if file and os.path.exists(file) else None


def _surroundings(pickled: bytes, module: types.ModuleType | None) -> dict[str, Any]:
    """Return the context that the other process needs (see `multiprocessing.spawn.prepare`)."""
    path = [path or os.getcwd() for path in sys.path]
    if module is not None:
        _have_found(module, path)
    known: dict[str, Any] = {"sys_path": path, "sys_argv": sys.argv}
    if b"__main__" in pickled and _main_file():
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        if spec is not None:
            known["init_main_from_name"] = spec.name
        else:
            known["init_main_from_path"] = os.path.abspath(_main_file() or "")
    return known


def _have_found(module: types.ModuleType, path: list[str]) -> None:
    """Add the folder that a module came from to a search path, if it is not found by it any more.

    `celery -A tasks worker` and `taskiq worker tasks:broker` put their folder on `sys.path` only while they
    import the application, so it is missing when a task runs.
    """
    name = module.__name__.partition(".")[0]
    root = sys.modules.get(name, module)
    place = getattr(root, "__file__", None)
    if place is None or root is sys.modules["__main__"]:  # built in, a namespace, or the script itself
        return
    folder = os.path.dirname(os.path.dirname(place) if hasattr(root, "__path__") else place)
    if folder in path or not os.path.isdir(folder):
        return
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec(name, [*path, folder])
    if found is not None and found.origin == place:
        path.append(folder)
    elif found is not None:  # another one of its name would come first
        path.insert(0, folder)


def main(folder: str) -> None:
    """Make the call that is packed in a run's folder, and leave with its exit code."""
    import signal
    from multiprocessing import spawn

    run = inside_run.ChildRun(folder)

    def stop(*_: object) -> None:
        if not line_stream.postpone(run.stop):
            run.stop()

    def in_child() -> None:  # a pool ends its workers by this signal, which must not stop the run
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, stop)
    at_fork(in_child)
    inside_run.process_run = run
    code, message, value, inside = 1, "", None, ""
    line_stream.install()
    try:
        with open(_call_of(run), "rb") as file:
            if run.request.get("mask") is not None:
                run.mask(pickle.load(file))
            surroundings, call = pickle.load(file)
        _prepare(spawn, surroundings)
        _rename_main()
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
        shown = bool(run.request.get("traceback", True))
        code, text, message, inside = error_report(error, 1, run.id, shown=shown)
        print(text, end="", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it has ended, whatever comes now
    _flush()  # what it printed may name a secret
    run.end(value, message, inside)
    _flush()
    sys.exit(code)


def _call_of(run: inside_run.ChildRun) -> int:
    """Return a descriptor of the call. That of a masked run is its stdin, and never lies on a disk."""
    if run.request.get("mask") is None:
        return run.files.open_call()
    call = os.dup(0)
    with open(os.devnull, "rb") as null:
        os.dup2(null.fileno(), 0)
    return call


async def _await(value: Any) -> Any:
    return await value


def _prepare(spawn: Any, surroundings: dict[str, Any]) -> None:
    global _inside
    _inside = True
    try:
        spawn.prepare(surroundings)
    except SystemExit:  # such as a server whose port is taken by the process that started this one
        print(
            "expected a program that can be imported, it ended the process: put what it does under "
            '`if __name__ == "__main__":`',
            file=sys.stderr,
        )
        raise
    finally:
        _inside = False


def _rename_main() -> None:
    """Make the definitions of a script belong to `__main__`, as in the process that executed the script.

    The script is executed under another name, so that code under `if __name__ == "__main__":` does not
    run again. Libraries that pickle functions of `__main__` by value, as joblib does for its workers,
    would take the other name for a module that the worker can import.
    """
    module = sys.modules["__main__"]
    if module.__name__ != _MAIN:
        return
    module.__name__ = "__main__"
    found = list(vars(module).values())
    for value in found:
        value = getattr(value, "__func__", value)  # of a static or class method
        if getattr(value, "__module__", None) != _MAIN:
            continue
        with contextlib.suppress(AttributeError, TypeError):  # an instance, which has its class's module
            value.__module__ = "__main__"
        if isinstance(value, type):
            found += vars(value).values()
        elif isinstance(value, types.FunctionType):
            value.__globals__["__name__"] = "__main__"


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
