"""The options of a start for type checkers and editors: what each way to start takes, with its type.

Serves only them: nothing loads this when a run is started. `table.py` says what each option means,
and a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Literal, TypedDict

__all__ = [
    *("BlockOptions", "CommandOptions", "RecordOptions", "ServerOptions", "StartOptions"),
    "StreamOptions",
]


class _Common(TypedDict, total=False):
    timeout: float | str | None
    idle_timeout: float | str | None
    cap: int | str | None
    keep: int | str | Sequence[int | str] | None
    mask: Sequence[str] | None


class _OnEnd(_Common, total=False):
    on_end: Sequence[Mapping[str, Any]] | None


class _BlockOptions(_OnEnd, total=False):
    traceback: bool | None
    tee: bool


class BlockOptions(_BlockOptions, total=False):
    """What `attach` takes."""

    key: str | None


class RecordOptions(_BlockOptions, total=False):
    """What `record` takes."""

    key: str | Callable[..., str | None] | None


class _CommandOptions(_Common, total=False):
    shell: bool
    cwd: str | os.PathLike[str] | None
    env: Mapping[str, str] | None
    color: bool | None
    line_buffered: bool
    tty: bool | Literal["stdout"]
    columns: int
    rows: int
    artifacts: Sequence[str] | None
    queue: str | None
    max_running: int | None
    replace: bool


class CommandOptions(_CommandOptions, _OnEnd, total=False):
    """What a named command has."""

    nice: int | None
    limits: Mapping[str, int | float | str] | None
    user: str | None


class ServerOptions(_CommandOptions, total=False):
    """What a start on a server takes beside `name`, `input` and `check`."""

    stdin: Literal["pipe"] | None
    key: str | None


class _RunOptions(BlockOptions, CommandOptions, total=False):
    kwargs: Mapping[str, Any] | None
    process: bool
    ahead: int | None
    stdin: int | IO[Any] | str | None
    input: bytes | str | None
    payload: bytes | str | None
    name: str | None
    stop_unwatched: float | str | None
    key: str | None
    programs: bool
    check: bool


class StartOptions(_RunOptions, total=False):
    """What `Store.start` takes."""

    view: str | None
    params: Mapping[str, str | int | bool] | None


class StreamOptions(_RunOptions, total=False):
    """What `stream` of an adapter takes: the options of the run, and one of the view's own."""

    interval: float | None
