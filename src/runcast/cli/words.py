"""`runcast progress` and `runcast note`, as scripts call them, often in a loop: without click.

Owns their arguments and the way to the run. The run is that of `RUNCAST_RUN_DIR`, which its programs
have in their environment; where there is none, or it is over, nothing happens. Imports little: most of
the time of such a call is that of Python's start.
"""

from __future__ import annotations

import os

from runcast.errors import UsageError

__all__ = ["WORDS", "has_options", "say"]

WORDS = ("progress", "note")
_USAGE = {"progress": "progress DONE [TOTAL [TEXT]]", "note": "note TEXT"}
_SECONDS = 5.0  # for the answer: what a program says of itself must not hold it up for long
_ERROR = 2


def has_options(arguments: list[str]) -> bool:
    """Return whether there are options: click has the help, and what is wrong with others."""
    return arguments[:1] == ["-h"] or (bool(arguments) and len(arguments[0]) > 2 and arguments[0][:2] == "--")


def say(word: str, arguments: list[str]) -> int:
    """Tell the run of this process; return the exit code: 2 for bad arguments, else 0.

    What begins with `-` is a number or a text.
    """
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    from runcast.supervisor.words import note_text, progress_of  # not for other verbs

    try:
        if word == "note":
            request: dict[str, object] = {"text": note_text(_one_text(arguments))}
        else:
            request = _progress(arguments)
            progress_of(request)
    except UsageError as error:
        _report(f"{error} (see `runcast {word} --help`)")
        return _ERROR
    if folder := os.environ.get("RUNCAST_RUN_DIR"):
        _tell(folder, {"op": word, "run": os.path.basename(folder), **request})
    return 0


def _one_text(arguments: list[str]) -> str:
    if len(arguments) != 1:
        raise UsageError(f"expected {_USAGE['note']}, got {len(arguments)} arguments: quote the text")
    return arguments[0]


def _progress(arguments: list[str]) -> dict[str, object]:
    if not 1 <= len(arguments) <= 3:
        raise UsageError(f"expected {_USAGE['progress']}, got {len(arguments)} arguments: quote the text")
    done, total, text = [*arguments, *("-", "-", "")[len(arguments) :]]
    return {"done": _number("DONE", done), "total": _number("TOTAL", total), "text": text}


def _number(name: str, text: str) -> float | int | None:
    if text == "-":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"expected {name} as a number, or - where it is not known, got {text!r:.80}"
        ) from None


def _tell(folder: str, request: dict[str, object]) -> None:
    """Send the request; what hinders it is reported, and no reason for a script to fail."""
    from runcast.supervisor.control import ask

    try:
        answer = ask(_socket(folder), request, timeout=_SECONDS)
    except (FileNotFoundError, ConnectionError, NotADirectoryError):  # it is over, or was removed or moved
        return
    except OSError as error:
        _report(f"this run cannot be reached: {(error.strerror or str(error)).lower()}")
        return
    if "error" in answer and answer["error"] != "it has ended":
        _report(f"this run did not take it: {answer['error']}")


def _socket(folder: str) -> str:
    """Return where the run listens: its supervisor, or the process that it is a function of."""
    path = f"{folder}/control"
    if os.path.exists(path):
        return path
    from runcast.store.run_folder import RunFolder

    return RunFolder(folder).control_path


def _report(message: str) -> None:
    from runcast.cli.terminal import report

    report(message)
