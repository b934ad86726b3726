"""The runs of a server, for verbs. Loaded when a server is named."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runcast.client import Client, RemoteRun, ShareLink
from runcast.client.base import PATIENCE
from runcast.errors import AccessRefused, RunNotFound, UsageError
from runcast.model import Chunk
from runcast.options import OPTIONS

if TYPE_CHECKING:
    from runcast.cli.any_runs import AnyRun
    from runcast.keep import Keep
    from runcast.options.typed import StartOptions
    from runcast.retention.prune import Pruned
    from runcast.run.arguments import Place
    from runcast.sources.command import Command

__all__ = ["Remote"]

_START_SECONDS = 5.0
_NEWEST = 1000  # runs and streams that are searched for a name


class Remote:
    """The runs of a server.

    Args:
        url: its address, with or without its token.
        named: whether it was named on the command line, and must be again to follow the run.
        patience: seconds without a word of the server after which following gives up; None for the usual.
    """

    def __init__(self, url: str, *, named: bool, patience: float | None = None) -> None:
        self._client = Client(url, patience=patience or PATIENCE)
        self._named = named

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def notice(self) -> None:
        return None

    @property
    def description(self) -> str:
        return f"the server {self._client.url}"

    @property
    def option(self) -> str:
        return f"--server {shlex.quote(self._client.url)} " if self._named else ""  # never its token

    def start(
        self, command: Command, stdin: bool, options: StartOptions, at: StartOptions | None = None
    ) -> RemoteRun:
        """Start a command; a single word may be the name of one of the server's commands.

        Behind that word there may be its parameters, each as `-p P=VALUE`, of a file as `-p P=@PATH`.

        Raises:
            UsageError: that has no terminal, while a terminal of the caller is to be at it.
        """
        given: dict[str, Any] = dict(options)
        if stdin:
            given["stdin"] = "pipe"
        label = given.pop("name", None)
        word, more = _name_and_params(command)
        params = {**(given.pop("params", None) or {}), **more}
        for name in given:
            if name in OPTIONS and not OPTIONS[name].body:
                option = "--" + name.replace("_", "-")
                raise UsageError(
                    f"expected {option} with a store of this machine, {self.description} takes none from its "
                    "clients: leave it out"
                )
        named: dict[str, dict[str, Any]] = {}
        try:
            offered = self._client.commands()
        except AccessRefused:  # the list may be forbidden while starting is allowed
            if word and not (given or label or at):
                return self._start_unlisted(word, params, command)
        else:
            named = {one["name"]: one for one in offered["commands"]}
            if word in named and not (offered["any"] and (given or label) and not params):
                if at and named[word].get("tty") is not True:
                    raise UsageError(
                        f"expected a command with a terminal, {word} of {self.description} has none: leave "
                        "out -it, or set tty = true in the server's configuration"
                    )
                return self._client.start(name=word, params=_with_files(params, named[word]) or None, **given)
        if params and not more:
            known = ", ".join(sorted(named)) or "none"
            raise UsageError(
                f"expected with -p the name of a command of {self.description}, which are: {known}"
            )
        try:
            return self._client.start(command, name=label, **given | dict(at or {}))
        except AccessRefused as error:
            if not named:
                raise
            raise AccessRefused(f"{error}; it starts {', '.join(sorted(named))}") from None

    def _start_unlisted(self, word: str, params: dict[str, Any], command: Command) -> RemoteRun:
        """Start the command of a name, or else any, where the server does not say which there are."""
        try:
            return self._client.start(name=word, params=_files_by_sign(params) or None)
        except UsageError as error:  # there is none, or its parameters are others
            if params:
                raise
            try:
                return self._client.start(command)
            except AccessRefused:
                raise error from None

    def forwards(self) -> bool:
        return True

    def started(self, run: AnyRun) -> None:
        cast(RemoteRun, run).wait_started(timeout=_START_SECONDS)

    def disk_use(self) -> Mapping[str, tuple[int, int]]:
        raise UsageError(
            f"expected a store with --disk, got {self.description}: its /metrics have it, by name"
        )

    def link(self, run: AnyRun) -> str:
        return cast(RemoteRun, run).url

    def share(self, run: AnyRun, expires: float) -> ShareLink:
        return cast(RemoteRun, run).share(expires=expires)

    def hint(self, run: AnyRun) -> str | None:
        return self._client.get(run.id).hint

    def get(self, run_id: str) -> RemoteRun:
        try:
            return self._client.get(run_id)
        except RunNotFound:
            for run in self._client.list(_NEWEST):
                if run.name == run_id and run.to_json()["source"] == "stream":
                    return run
            raise

    def list(self, limit: int | None = None, *, key: str | None = None) -> Iterator[RemoteRun]:
        return self._client.list(limit, key=key)

    def remove(self, run: AnyRun, *, force: bool = False) -> None:
        self._client.remove(cast(RemoteRun, run), force=force)

    def prune(self, keep: Keep, *, name: str | None, mirrors: bool, dry_run: bool) -> Iterator[Pruned]:
        raise UsageError(
            f"expected a store of this machine, got {self.description}: run `runcast prune` there, or "
            "have it keep less (`runcast serve --keep`)"
        )

    def so_far(self, run: AnyRun, channels: Collection[str], place: Place) -> Iterator[Chunk]:
        return cast(RemoteRun, run).so_far(channel=channels or None, **place)

    def reading(self, run: AnyRun) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # the list already has all values


def _with_files(params: dict[str, Any], command: dict[str, Any]) -> dict[str, Any]:
    """Return values of a command's parameters, those of files (`P=@PATH`) as paths.

    Raises:
        UsageError: a file is not named so.
    """
    for name, value in params.items():
        if command.get("params", {}).get(name, {}).get("type") == "file":
            if not value.startswith("@"):
                raise UsageError(f"expected -p {name}=@PATH, the path of a file, got {value!r:.80}")
            params[name] = Path(value[1:])
    return params


def _files_by_sign(params: dict[str, Any]) -> dict[str, Any]:
    """Return values of a command that nothing is known of: those that begin with `@` are paths of files."""
    return {name: Path(value[1:]) if value.startswith("@") else value for name, value in params.items()}


def _name_and_params(command: Command) -> tuple[str, dict[str, str]]:
    """Return the word that may name a command, and its parameters; an empty word where more follows."""
    if not isinstance(command, list) or not command:
        return "", {}
    params: dict[str, str] = {}
    rest = iter(map(str, command[1:]))
    for word in rest:
        name, equals, value = next(rest, "").partition("=") if word in ("-p", "--param") else ("", "", "")
        if not equals:
            return "", {}
        params[name] = value
    return str(command[0]), params
