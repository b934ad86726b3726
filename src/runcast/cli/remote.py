"""The runs of a server, as verbs know runs. Loaded when a server is named."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from runcast.client import Client, RemoteRun
from runcast.errors import AccessRefused, RunNotFound
from runcast.log import CAP_BYTES
from runcast.model import Chunk

if TYPE_CHECKING:
    from runcast.cli.where import AnyRun
    from runcast.run_base import Place
    from runcast.sources.command import Command

__all__ = ["Remote"]

_START_SECONDS = 5.0
_NEWEST = 1000  # runs and streams among which a name is looked for


class Remote:
    """The runs of a server.

    Args:
        url: its address, maybe with its token.
        named: whether it was named on the command line, and must be again to come back.
    """

    def __init__(self, url: str, *, named: bool) -> None:
        self._client = Client(url)
        self._named = named

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def said(self) -> str:
        return f"the server {self._client.url}"

    @property
    def option(self) -> str:
        return f"--server {shlex.quote(self._client.url)} " if self._named else ""  # never its token

    def start(self, command: Command, stdin: bool, options: Mapping[str, Any]) -> RemoteRun:
        """Start a command, or the server's own where a single word names one."""
        given = {name: value for name, value in options.items() if value}
        if options.get("cap") == CAP_BYTES:  # which is the server's own, too
            del given["cap"]
        elif options.get("cap", 0) is None:
            given["cap"] = None
        if stdin:
            given["stdin"] = "pipe"
        label = given.pop("name", None)
        word = command[0] if isinstance(command, list) and len(command) == 1 else None
        named: list[str] = []
        with contextlib.suppress(AccessRefused):  # whoever may not look may still know a name, or start any
            told = self._client.commands()
            named = [one["name"] for one in told["commands"]]
            if word in named and not (told["any"] and (given or label)):
                return self._client.start(name=str(word), **given)
        try:
            return self._client.start(command, name=label, **given)
        except AccessRefused as error:
            if not named:
                raise
            raise AccessRefused(f"{error}; it starts {', '.join(sorted(named))}") from None

    def forwards(self) -> bool:
        return True

    def started(self, run: AnyRun) -> None:
        cast(RemoteRun, run).wait_started(timeout=_START_SECONDS)

    def link(self, run: AnyRun) -> str:
        return cast(RemoteRun, run).url

    def get(self, run_id: str) -> RemoteRun:
        try:
            return self._client.get(run_id)
        except RunNotFound:
            for run in self._client.list(_NEWEST):
                if run.name == run_id and run.to_json()["source"] == "stream":
                    return run
            raise

    def list(self, limit: int | None = None) -> Iterator[RemoteRun]:
        return self._client.list(limit)

    def remove(self, run: AnyRun, *, force: bool = False) -> None:
        self._client.remove(cast(RemoteRun, run), force=force)

    def so_far(self, run: AnyRun, channels: Collection[str], place: Place) -> Iterator[Chunk]:
        return cast(RemoteRun, run).so_far(channel=channels or None, **place)

    def reading(self, run: AnyRun) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # what the server told is here already
