"""Commands: what a caller writes, made into what is executed: arguments, a folder, an environment.

Owns the refusal of strings that only a shell would understand: run without one they would do
something else, silently. Starts nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from runcast.errors import CommandRefused, UsageError

__all__ = ["Command", "current_folder", "environment", "shell_syntax", "to_argv"]

Command = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_TOKENS = re.compile(
    r"""
      (?P<quoted> \\. | '[^']*' )
    | (?P<syntax> && | \|\|? | ;;? | \d*>>?&?\d* | <<?<? | & | \$\( | \$\{ | \$\w+ | ` | \n | (?<!\S)\# )
    | (?P<double> " )
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE = ("$", "`")  # what a shell still acts on between double quotes


def to_argv(command: Command, *, shell: bool = False) -> list[str]:
    """Return the argument list of a command.

    Args:
        command: a list of arguments, or a string that is split as a shell splits words.
        shell: have `/bin/sh -c` execute the string instead.

    Raises:
        CommandRefused: the string holds shell syntax, and `shell` is false.
        UsageError: it is no command at all.
    """
    if isinstance(command, (str, os.PathLike)):
        return _from_string(command, shell)
    if shell:
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
    """Return the first piece of a string that a shell would act upon and splitting into words would not."""
    double = False
    at = 0
    while match := _TOKENS.search(command, at):
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


def current_folder() -> str:
    """Return where a command runs for which no folder was named.

    Raises:
        UsageError: it was removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError("expected a current folder, it was removed: go to another, or name one") from None


def environment(env: Mapping[str, str] | None, run_id: str) -> dict[str, str]:
    """Return a command's environment: a pipe makes Python programs buffer, so they are told not to.

    Raises:
        UsageError: a name or a value of `env` is none.
    """
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not isinstance(value, str) or "=" in name[1:] or "\0" in name + value:
            raise UsageError(
                f"expected variables as strings without `=` in the name or NUL, got {name!r}={value!r:.80}"
            )
    # `os.environ` would encode each name again to find its value.
    coding = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    ours = {name.decode(*coding): value.decode(*coding) for name, value in os.environb.items()}
    return {"PYTHONUNBUFFERED": "1", **ours, **(env or {}), "RUNCAST_RUN_ID": run_id}
