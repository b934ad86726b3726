"""A server's runs: start, find, list and remove them. Everything but the waiting."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote

from runcast.client.acts import Asking, Call, Query, Steps, installed
from runcast.client.base import PATIENCE, RemoteRunBase
from runcast.client.server import OF_A_RUN, Server
from runcast.errors import RunFinished, RunNotFound, UsageError
from runcast.ids import is_run_id

if TYPE_CHECKING:
    from runcast.sources.command import Command

__all__ = ["ClientBase", "StartOptions"]

_PAGE = 1000  # runs in one reply, at most

Run = TypeVar("Run", bound=RemoteRunBase)


class StartOptions(TypedDict, total=False):
    """What a start may say of a command, beside the command; see `Store.start`."""

    shell: bool
    cwd: str | None
    env: Mapping[str, str]
    stdin: Literal["pipe"] | None
    timeout: float | None
    idle_timeout: float | None
    cap: int | None


class ClientBase(Generic[Run]):
    """What is asked of a server. Use `Client` or `AsyncClient`."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE
    ) -> None:
        if not patience > 0:
            raise UsageError(f"expected patience to be more than 0 seconds, got {patience!r}")
        self._server = Server(url, token)
        self._patience = patience
        installed()

    @property
    def url(self) -> str:
        """The server's address, without its token."""
        return str(self._server)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def _run(self, told: dict[str, Any], *, check: bool = False) -> Run:
        """Return a run of which the server told."""
        raise NotImplementedError

    def _start_asking(
        self,
        command: Command | None,
        name: str | None,
        input: bytes | str | None,
        check: bool,
        options: Mapping[str, Any],
    ) -> Asking[Run]:
        if (command is None) and (name is None):
            raise UsageError(
                "expected a command, or the name of one of the server's commands (name=), got neither"
            )
        asked: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
        if options.get("cap", 0) is None:
            asked["cap"] = None  # all of the output; to say nothing leaves it to the server
        if command is None:
            if asked or input is not None:
                wrong = sorted(asked)[0] if asked else "input"
                raise UsageError(f"expected no {wrong} with name= alone: the server's command has its own")
            asked = {"name": name}
        else:
            asked["command"] = (
                command
                if isinstance(command, str)
                else os.fspath(command)
                if isinstance(command, os.PathLike)
                else [os.fspath(word) for word in command]
            )
            if name is not None:
                asked["title"] = name
        if input is not None:
            if asked.get("stdin") is not None:
                raise UsageError("expected stdin or input, got both: choose one of them")
            asked["stdin"] = "pipe"
        try:
            body = json.dumps(asked).encode()
        except (TypeError, ValueError) as error:
            raise UsageError(f"expected a command and options that can be sent as JSON: {error}") from None
        answer = yield Call("POST", "/runs", body=body, json=True)
        run = self._run(self._server.value(answer, None, 201, having=OF_A_RUN), check=check)
        if input is not None:
            try:
                yield from run._send_asking(input, True)
            except RunFinished:  # it did not want to know
                pass
        return run

    def _get_asking(self, run_id: str) -> Asking[Run]:
        wanted = run_id.lower()
        if is_run_id(wanted):
            answer = yield Call("GET", f"/runs/{wanted}")
            return self._run(self._server.value(answer, wanted, having=OF_A_RUN))
        near: list[str] = []
        if len(wanted) >= 4:
            runs = yield from self._page_asking(_PAGE, None)
            found = [run for run in runs if run.id.startswith(wanted) or run.id.endswith(wanted)]
            if len(found) == 1:
                return found[0]
            near = [run.id for run in found]
        raise RunNotFound(run_id, f"the server {self._server}", tuple(near[:3]))

    def _page_asking(self, limit: int, before: str | None) -> Asking[list[Run]]:
        query: Query = (("limit", str(min(limit, _PAGE))),)
        if before is not None:
            query += (("before", before),)
        answer = yield Call("GET", "/runs", query)
        return [self._run(told) for told in self._server.runs(answer)]

    def _list_steps(self, limit: int | None) -> Steps[Run]:
        left = math.inf if limit is None else limit
        before: str | None = None
        while left > 0:
            asked = int(min(left, _PAGE))
            runs = yield from self._page_asking(asked, before)
            yield from runs
            left -= len(runs)
            if len(runs) < asked:
                return
            before = runs[-1].id

    def _remove_asking(self, run: Run | str, force: bool) -> Asking[None]:
        found = run if isinstance(run, RemoteRunBase) else (yield from self._get_asking(run))
        # Of a damaged one the name may not be known; it is removed by its id, open or not.
        stream = force and found.to_json()["source"] == "stream" and found.damaged is None
        answer = yield Call("DELETE", f"/v1/stream/{quote(found.name)}" if stream else f"/runs/{found.id}")
        self._server.value(answer, found.id, 204)

    def _commands_asking(self) -> Asking[dict[str, Any]]:
        answer = yield Call("GET", "/commands")
        return dict(self._server.value(answer, having=("commands", "any")))
