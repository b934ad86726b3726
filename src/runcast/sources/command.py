"""Commands: from the caller's form to what is executed: arguments, a folder, an environment.

Owns the refusal of strings with shell syntax: executed without a shell they would silently do something
else. Starts nothing.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import IO, Any

from runcast.errors import CommandRefused, UsageError

__all__ = ["Command", "current_folder", "descriptor", "environment", "shell_syntax", "to_argv"]

Command = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_TOKENS = r"""
  (?P<quoted> \\. | '[^']*' )
| (?P<syntax> && | \|\|? | ;;? | \d*>>?&?\d* | <<?<? | & | \$\( | \$\{ | \$\w+ | ` | \n | (?<!\S)\# )
| (?P<double> " )
"""
TERM = "xterm-256color"  # what a run's terminal is, and what programs may assume of a page
_PAGERS = ("PAGER", "GIT_PAGER", "MANPAGER")
_OWN_PAGERS = ("AWS_PAGER", "BAT_PAGER", "DELTA_PAGER", "GH_PAGER", "PSQL_PAGER", "SYSTEMD_PAGER")
_IN_DOUBLE = ("$", "`")  # what a shell still interprets between double quotes


def to_argv(command: Command, *, shell: bool = False) -> list[str]:
    """Return the argument list of a command.

    Args:
        command: a list of arguments, or a string that is split as a shell splits words.
        shell: execute the string with `/bin/sh -c` instead.

    Raises:
        CommandRefused: the string has shell syntax, and `shell` is false.
        UsageError: it is not a command.
    """
    if isinstance(command, (str, os.PathLike)):
        return _from_string(command, shell)
    if shell:
        import shlex

        raise UsageError(
            f"expected a string with shell=True, got a list: write {shlex.join(map(str, command))!r}"
        )
    try:
        argv = [os.fspath(item) for item in command]
    except TypeError:
        raise UsageError(
            f"expected a command (a list of strings, or a string), got {command!r:.100}: "
            "numbers and the like need str()"
        ) from None
    if not argv:
        raise UsageError(f"expected a list of at least one string, got {command!r:.100}")
    if not all(isinstance(item, str) for item in argv):
        raise UsageError(f"expected a list of strings, got {command!r:.100}: bytes need os.fsdecode()")
    if any("\0" in item for item in argv):
        raise UsageError("expected arguments without a NUL byte: no operating system can pass one")
    if not argv[0]:
        raise UsageError("expected the name of a program as the first item, got an empty string")
    return argv


def _from_string(command: str | os.PathLike[str], shell: bool) -> list[str]:
    if isinstance(command, os.PathLike):
        return [os.fspath(command)]
    if shell:
        return ["/bin/sh", "-c", command]
    found = shell_syntax(command)
    if found is not None:
        raise CommandRefused(
            f"expected a command without shell syntax, got {found!r} in {command!r}: "
            f'pass shell=True, or ["bash", "-c", {command!r}], or quote what is meant literally'
        )
    import shlex

    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise UsageError(
            f"expected a command that splits into words, got {command!r}: {error}".lower()
        ) from None
    if not argv or not argv[0]:
        raise UsageError("expected a command, got an empty string")
    return argv


def shell_syntax(command: str) -> str | None:
    """Return the first piece of a string that a shell would interpret, and splitting into words would not."""
    double = False
    at = 0
    tokens = _tokens()
    while match := tokens.search(command, at):
        text = match.group()
        at = match.end()
        if match.lastgroup == "double":
            double = not double
        elif match.lastgroup == "quoted":
            if double and text.startswith("'"):
                at = match.start() + 1  # a quote between double quotes is a letter like others
            elif double and text[1:] in _IN_DOUBLE:
                return text  # a shell takes the backslash away, splitting into words does not
        elif not double or text.startswith(_IN_DOUBLE):
            return text.strip() or "a line break"
    return None


@functools.cache
def _tokens() -> re.Pattern[str]:
    """Return the pattern; a command that is a list needs none, and no `shlex` either."""
    return re.compile(_TOKENS, re.VERBOSE | re.DOTALL)


def current_folder() -> str:
    """Return the folder in which a command runs by default.

    Raises:
        UsageError: it was removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError("expected a current folder, it was removed: go to another, or name one") from None


def environment(
    env: Mapping[str, str] | None,
    run_id: str,
    color: bool | None = None,
    *,
    tty: bool = False,
    folder: str = "",
) -> dict[str, str]:
    """Return a command's environment, which disables the buffering of Python programs on pipes.

    Args:
        env: the caller's variables, which win over all but the run's id and folder.
        run_id: of the run.
        color: whether programs are to write colors although no terminal is there; None adds nothing.
        tty: whether the command has a terminal of its own.
        folder: of the run, in which `runcast note` finds its supervisor.

    Raises:
        UsageError: a name or a value of `env` is invalid.
    """
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not isinstance(value, str) or "=" in name[1:] or "\0" in name + value:
            raise UsageError(
                f"expected variables as strings without `=` in the name or NUL, got {name!r}={value!r:.80}"
            )
    inherited = _ours()
    if inherited.get("PYTHONUNBUFFERED", "") in ("", "0"):  # both mean off, to Python
        inherited["PYTHONUNBUFFERED"] = "1"
    if tty:
        _describe_terminal(inherited)
    if color is not None:
        _set_colors(inherited, color)
    return {**inherited, **(env or {}), "RUNCAST_RUN_ID": run_id, "RUNCAST_RUN_DIR": folder}


def _describe_terminal(inherited: dict[str, str]) -> None:
    """Describe the run's own terminal, in place of the one that the caller may have.

    A pager would wait for a key that nobody may be there to press. Those that some programs have of
    their own come before `PAGER`; git's, before its configuration.
    """
    for name in ("COLUMNS", "LINES", "TERMCAP"):  # programs believe them, and not the terminal
        inherited.pop(name, None)
    inherited["TERM"] = TERM
    inherited.setdefault("CARGO_TERM_PROGRESS_TERM_INTEGRATION", "true")  # it sends its progress as OSC 9;4
    inherited |= dict.fromkeys(_PAGERS, "cat") | {name: "cat" for name in _OWN_PAGERS if name in inherited}


def _set_colors(inherited: dict[str, str], color: bool) -> None:
    """Ask programs for colors, or for none: see force-color.org, bixense.com/clicolors and no-color.org.

    The opposite variables go: where both stand, programs differ in which one wins, and several take
    any value of `FORCE_COLOR`, 0 as well, for a yes.
    """
    for name in ("NO_COLOR",) if color else ("FORCE_COLOR", "CLICOLOR_FORCE"):
        inherited.pop(name, None)
    if not color:
        inherited["NO_COLOR"] = "1"
        return
    inherited |= {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TTY_INTERACTIVE": "0"}  # rich: no animation
    if inherited.get("TERM", "") in ("", "dumb"):  # it caps what FORCE_COLOR gives
        inherited["TERM"] = TERM


def _ours() -> dict[str, str]:
    """Return this process's environment, like `dict(os.environ)` but with few calls, for every start.

    Reading a variable of `os.environ` costs six calls of Python functions; reading its internal
    dictionary costs none. Names and values have no NUL, and a NUL ends an incomplete character, so
    joined by NULs they are decoded all at once.
    """
    kept: dict[bytes, bytes] = dict(getattr(os.environb, "_data", os.environb))  # other threads may set one
    if not kept:
        return {}
    whole = b"\0".join(chain.from_iterable(kept.items()))
    parts = iter(whole.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()).split("\0"))
    return dict(zip(parts, parts, strict=True))


def descriptor(stdin: int | IO[Any] | str) -> int:
    """Return the descriptor of a command's stdin.

    Raises:
        UsageError: there is none.
    """
    try:
        if isinstance(stdin, bool):  # an int as well: `stdin=True` would be descriptor 1
            raise ValueError
        fd: int = stdin if isinstance(stdin, int) else stdin.fileno()  # type: ignore[union-attr]
        os.fstat(fd)
        return fd
    except (AttributeError, OSError, OverflowError, ValueError):
        raise UsageError(f'expected stdin to be "pipe", a file or a descriptor, got {stdin!r}') from None
