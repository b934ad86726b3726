"""Start options on the command line: what click makes of the entries of the table.

Owns how the values of each type are written there: that of a terminal as `--tty` or `--tty=stdout`, its
columns and rows together as `--size 80x24`, secrets by the names of variables, for what stands on a command
line anybody can read. What an option means is the table's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from runcast.cli.values import CELLS, DURATION, KEEP, SIZE, VARIABLE, Whole
from runcast.options import OPTIONS, process_types, queue_types, types
from runcast.options.artifact_types import ARTIFACTS
from runcast.options.mask import MASK
from runcast.options.types import BYTES, FLAG, FOLDER, SECONDS, SWITCH, TERMINAL, TEXT, VARIABLES, OptionType

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions

__all__ = ["StartCommand", "given", "start_options"]

Function = TypeVar("Function", bound=Callable[..., object])
_WRITTEN: Final[Mapping[OptionType, Mapping[str, Any]]] = {
    TEXT: {},
    FOLDER: {"metavar": "DIR"},
    FLAG: {"is_flag": True},
    SWITCH: {"is_flag": True},
    TERMINAL: {"is_flag": True},
    SECONDS: {"type": DURATION, "metavar": "DURATION"},
    BYTES: {"type": SIZE, "metavar": "SIZE"},
    VARIABLES: {"type": VARIABLE, "metavar": "NAME=VALUE", "multiple": True},
    process_types.NICE: {"type": Whole(-20, 19), "metavar": "N"},
    process_types.LIMITS: {"type": VARIABLE, "metavar": "NAME=VALUE", "multiple": True},
    process_types.USER: {"metavar": "NAME"},
    queue_types.QUEUE: {"metavar": "NAME"},
    queue_types.RUNNING: {"type": Whole(1, 1000), "metavar": "N"},
    types.KEY: {"metavar": "KEY"},
    types.KEEP: {"type": KEEP, "metavar": "RULE", "multiple": True},
    MASK: {"is_flag": True},
    ARTIFACTS: {"metavar": "PATTERN", "multiple": True},
}


_TTY, _TTY_STDOUT = "--tty", "--tty-stdout"


class StartCommand(click.Command):
    """A verb that starts a command, and may be given `--tty=stdout`.

    To click an option has a value or has none, and one that may have a value would take the command for it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take `--tty=stdout` for a flag of its own where it stands before the command."""
        known = {f"{_TTY}=stdout": _TTY_STDOUT}
        written = [known.get(word, _TTY if word.startswith(f"{_TTY}=") else word) for word in args]
        found, _, _ = self.make_parser(ctx).parse_args(list(written))
        words = found.get("words")  # all that is left; no tuple where there is none
        own = len(args) - (len(words) if isinstance(words, tuple) else 0)
        for word in args[:own]:
            if word.startswith(f"{_TTY}=") and word not in known:
                raise click.UsageError(f"expected {_TTY} or {_TTY}=stdout, got {word!r:.80}", ctx)
        return super().parse_args(ctx, [*written[:own], *args[own:]])


def start_options(function: Function) -> Function:
    """Add the options of a start to a verb, which gets them as keywords; see `given`."""
    for option in reversed(OPTIONS.values()):
        if option.type is TERMINAL:
            size = "The size of that terminal. [default: 80x24]"
            function = click.option("--size", type=CELLS, metavar="COLSxROWS", help=size)(function)
            function = click.option(_TTY_STDOUT, is_flag=True, hidden=True)(function)
        if option.type is MASK:
            also = "Mask the value of this variable of yours as well. May be repeated."
            function = click.option("--mask-env", metavar="NAME", multiple=True, help=also)(function)
        if option.cli:
            written = dict(_WRITTEN[option.type])
            if "multiple" not in written:
                written["default"] = option.default
            word = option.name.removesuffix("s" * (option.type is ARTIFACTS)).replace(
                "_", "-"
            )  # one at a time
            name = f"--{word}/--no-{word}" if option.type is SWITCH else f"--{word}"
            names = [name, *(["-t"] if option.type is TERMINAL else [])]
            function = click.option(*names, option.name, help=option.cli, **written)(function)
    return function


def given(values: Mapping[str, Any]) -> StartOptions:
    """Return those of a verb's keywords that are options of a start and not at their defaults."""
    found = {}
    values = dict(values)
    if size := values.pop("size"):
        values["columns"], values["rows"] = size
    if values.pop("tty_stdout"):
        values["tty"] = "stdout"
    names = values.pop("mask_env")
    values["mask"] = [_variable(name) for name in names] if values["mask"] or names else None
    for name, value in values.items():
        option = OPTIONS[name]
        if option.type in (VARIABLES, process_types.LIMITS):
            value = dict(value) or None
        elif option.type in (types.KEEP, ARTIFACTS):
            value = list(value) or None
        if value != option.default:
            found[name] = value
    return cast("StartOptions", found)


def _variable(name: str) -> str:
    if name not in os.environ:
        raise click.UsageError(
            f"--mask-env: expected the name of a variable that is set here, got {name!r:.80}: export it"
        )
    return os.environ[name]
