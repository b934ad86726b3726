"""The hint for a run that is silent: which of its processes may hold output back, and what to do.

Owns the choice and the words. A hint is one sentence without a full stop, in plain text. It names only
programs of the table and the run's own: which others a run starts may be nobody's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from runcast.hints.table import AT_END, AT_ONCE, Program, Waiter, programs, quiet, waiters
from runcast.sysio.processes import PIPE, TERMINAL, Process

__all__ = ["hint"]

_MOST_NAMES = 3
_PYTHON = "Python"
_ALL = "line_buffered (--line-buffered)"
_TERMINAL = 'tty="stdout" (--tty=stdout)'
_MINE = "a program that it runs"


def hint(
    processes: Sequence[Process], *, first: int | None, empty: bool, waiting: bool = False
) -> str | None:
    """Return why a silent run may be silent, and what to do; None where nothing is known.

    Args:
        processes: those of the run that live, parents before their children.
        first: the pid of the run's command.
        empty: whether there was no output at all.
        waiting: whether it is known that the run waits for input: then nothing is supposed of others.
    """
    for process in processes:
        for waiter in waiters():
            if _waits(process, waiter):
                return f"{_named(process, waiter.match)} {waiter.say}"
    held: dict[Program, str] = {}
    unknown: list[Process] = []
    for process in processes:
        if process.output not in (PIPE, None):
            continue
        program, name = _entry(process)
        if program is None:
            if not process.parent and not _matches(process, quiet()):
                unknown.append(process)
        elif program.name == _PYTHON:
            if sentence := _python(process, processes):
                return sentence
        elif program.pipe == AT_END and not _cured(process, program):
            if program.say:
                if not program.only_with or _has(_arguments(process, program), program.only_with):
                    return program.say
            else:
                held.setdefault(program, name)
    if held:
        return _of_held(held)
    return _of_unknown(unknown[0], first) if unknown and empty and not waiting else None


def _of_held(held: Mapping[Program, str]) -> str:
    shown = list(held.items())[:_MOST_NAMES]
    names = [name for _, name in shown]
    cures = [program.cure_of(name).replace("`", "") for program, name in shown]
    whose = "holds its lines" if len(names) == 1 else "hold their lines"
    sentence = f"{_and(names)} {whose} back while the output is a pipe: {', '.join(cures)}"
    if all(program.line_buffered == AT_ONCE for program in held):
        return f"{sentence}; or start the run with {_ALL}"
    if all(program.tty == AT_ONCE for program in held):
        return f"{sentence}; or start the run with {_TERMINAL}"
    return sentence


def _of_unknown(process: Process, first: int | None) -> str:
    name = process.program if process.pid == first else _MINE
    ways = _TERMINAL if _preloaded(process) else f"{_ALL}, or with {_TERMINAL}"
    return f"{name} may hold its output back while that is a pipe: start the run with {ways}"


def _python(process: Process, processes: Iterable[Process]) -> str | None:
    """Return why a Python program holds its output back; None where it does not."""
    options, script = _python_options(process.argv)
    if "u" in options:
        return None
    name = os.path.basename(process.argv[0])
    if ignored := [letter for letter in "IE" if letter in options]:
        return f"{name} -{ignored[0]} ignores PYTHONUNBUFFERED, and holds its lines back: add -u"
    if process.environment is None:
        return _behind_sudo(name) if any(one.program == "sudo" for one in processes) else None
    if process.environment.get("PYTHONUNBUFFERED", "") not in ("", "0"):
        found = next((one for one in programs() if script and _fits(script, one.match)), None)
        if found is None or not found.say or found.pipe != AT_END or _cured(process, found):
            return None
        return found.say
    if "SUDO_COMMAND" in process.environment:
        return _behind_sudo(name)
    return f"{name} runs without PYTHONUNBUFFERED, and holds its lines back: {name} -u"


def _behind_sudo(name: str) -> str:
    return f"sudo clears PYTHONUNBUFFERED, and {name} holds its lines back: sudo PYTHONUNBUFFERED=1 {name}"


def _python_options(argv: Sequence[str]) -> tuple[str, str]:
    """Return the letters of the options before a script or a module, and the name of that."""
    letters = ""
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-") or word == "-":
            return letters, os.path.basename(word)
        if word.startswith("--"):
            continue
        for at, letter in enumerate(word[1:], 1):
            if letter in "cm":  # what follows is the program's
                return letters, word[at + 1 :] or next(words, "") if letter == "m" else ""
            if letter in "WX":  # takes a value, from the next word where none follows
                if not word[at + 1 :]:
                    next(words, None)
                break
            letters += letter
    return letters, ""


def _waits(process: Process, waiter: Waiter) -> bool:
    return (
        _matches(process, waiter.match)
        and (process.output == TERMINAL or not waiter.terminal)
        and not (waiter.alone and process.parent)
        and (not waiter.only_with or _has(process.argv, waiter.only_with))
    )


def _names(process: Process) -> list[str]:
    """Return the names by which the table may have a process."""
    called = os.path.basename(process.argv[0])
    if process.program != "busybox":
        return [process.program, called]
    return [f"busybox {called if called != 'busybox' or len(process.argv) < 2 else process.argv[1]}"]


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _matches(process: Process, patterns: Iterable[str]) -> bool:
    return any(_fits(name, patterns) for name in _names(process))


def _named(process: Process, patterns: Iterable[str]) -> str:
    return next(name for name in _names(process) if _fits(name, patterns))


def _entry(process: Process) -> tuple[Program | None, str]:
    """Return the entry of a process, and by which name it has it."""
    if process.environment and "_PYI_APPLICATION_HOME_DIR" in process.environment:
        return next(one for one in programs() if one.frozen), process.program
    for name in _names(process):
        for program in programs():
            if _fits(name, program.match):
                return program, name
    return None, ""


def _arguments(process: Process, program: Program) -> list[str]:
    """Return the words of a process, and behind them those that it takes from its environment."""
    words = list(process.argv)
    for name in program.arguments_in:
        for at, word in enumerate((process.environment or {}).get(name, "").split()):
            words.append(word if at or word.startswith("-") or "=" in word else f"-{word}")
    return words


def _has(argv: Sequence[str], words: Iterable[str]) -> bool:
    """Whether the arguments have one of these words; `*` at an end stands for anything."""
    text = " ".join(argv[1:])
    return any(
        any(fnmatchcase(given, word) for given in argv[1:]) or (" " in word and word in text)
        for word in words
    )


def _cured(process: Process, program: Program) -> bool:
    """Whether a process writes at once although its program does not, by an argument or a variable."""
    if _has(_arguments(process, program), program.cured_by):
        return True
    if process.environment is None:
        return False
    if program.cured_in:
        name, _, part = program.cured_in.partition("=")
        return part in process.environment.get(name, "")
    return program.line_buffered == AT_ONCE and _preloaded(process)


def _preloaded(process: Process) -> bool:
    """Whether the library of stdbuf is loaded, and set to write lines or more."""
    values = process.environment or {}
    return values.get("_STDBUF_O") in ("L", "0") and "libstdbuf" in values.get("LD_PRELOAD", "")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
