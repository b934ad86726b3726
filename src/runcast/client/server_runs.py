"""A server's runs: start, find, list and remove them. Everything but the waiting."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from runcast.client.actions import Call, Query, Routine, Steps, require_httpx
from runcast.client.base import PATIENCE, RemoteRunBase
from runcast.client.form import Form
from runcast.client.remote import RemoteSteps
from runcast.client.server import OF_A_RUN, Server
from runcast.errors import RunFinished, RunNotFound, UsageError
from runcast.ids import is_run_id
from runcast.options import OPTIONS, check_together, unknown

if TYPE_CHECKING:
    from runcast.sources.command import Command
from runcast.sysio.uploads import Upload, upload_of

__all__ = ["ClientBase"]

_PAGE = 1000  # runs in one reply, at most

Run = TypeVar("Run", bound=RemoteSteps)


class ClientBase(Generic[Run]):
    """The steps of a server's runs. Use `Client` or `AsyncClient`."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE
    ) -> None:
        if not patience > 0:
            raise UsageError(f"expected patience to be more than 0 seconds, got {patience!r}")
        self._server = Server(url, token)
        self._patience = patience
        require_httpx()

    @property
    def url(self) -> str:
        """The server's address, without its token."""
        return str(self._server)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def _run(self, facts: dict[str, Any], *, check: bool = False) -> Run:
        """Return a run by what the server sent of it."""
        raise NotImplementedError

    def _body(
        self,
        command: Command | None,
        name: str | None,
        params: Mapping[str, Any] | None,
        input: bytes | str | None,
        options: Mapping[str, Any],
    ) -> bytes:
        """Return the body of a start.

        Raises:
            UsageError: an option is unknown, or its value has no meaning.
        """
        found = _body_options(options)
        if found.get("key") is not None and input is not None:
            raise UsageError(
                "expected no input with a key: the run that has it may have got that already; send it by "
                "run.send, once"
            )
        if command is None:
            if (own := found.keys() - {"key"}) or input is not None:
                wrong = min(own) if own else "input"
                raise UsageError(f"expected no {wrong} with name= alone: the server's command has its own")
            found |= {"name": name} | ({} if params is None else {"params": dict(params)})
        elif params is not None:
            raise UsageError("expected params with name= alone: a command of your own has all its arguments")
        else:
            found["command"] = _words(command)
            if name is not None:
                found["title"] = name
        check_together(found | {"input": input})
        if input is not None:
            found["stdin"] = "pipe"
        try:
            return json.dumps(found).encode()
        except (TypeError, ValueError) as error:
            raise UsageError(f"expected a command and options that can be sent as JSON: {error}") from None

    def _start_steps(
        self,
        command: Command | None,
        name: str | None,
        params: Mapping[str, Any] | None,
        input: bytes | str | None,
        check: bool,
        options: Mapping[str, Any],
    ) -> Routine[Run]:
        if command is None and name is None:
            raise UsageError(
                "expected a command, or the name of one of the server's commands (name=), got neither"
            )
        files = params is not None and not all(map(_is_json, params.values()))
        if params is not None and files and command is None:
            if options.get("key") is not None:
                raise UsageError("expected no key with a file: a server does not compare files")
            self._body(command, name, {}, input, options)  # refuses what does not go together
            reply = yield Call("POST", "/runs", form=_form(str(name), params), timeout=None)
        else:
            body = self._body(command, name, params, input, options)
            reply = yield Call("POST", "/runs", body=body, json=True)
        run = self._run(self._server.value(reply, None, 201, having=OF_A_RUN), check=check)
        if input is not None:
            try:
                yield from run._send_steps(input.encode() if isinstance(input, str) else input, True)
            except RunFinished:  # it ended without reading its input
                pass
        return run

    def _get_steps(self, run_id: str) -> Routine[Run]:
        wanted = run_id.lower()
        if is_run_id(wanted):
            reply = yield Call("GET", f"/runs/{wanted}")
            return self._run(self._server.value(reply, wanted, having=OF_A_RUN))
        near: list[str] = []
        if len(wanted) >= 4:
            runs, _ = yield from self._page_steps(_PAGE, None)
            found = [run for run in runs if run.id.startswith(wanted) or run.id.endswith(wanted)]
            if len(found) == 1:
                return found[0]
            near = [run.id for run in found]
        raise RunNotFound(run_id, f"the server {self._server}", tuple(near[:3]))

    def _page_steps(
        self, limit: int, before: str | None, key: str | None = None
    ) -> Routine[tuple[list[Run], str | None]]:
        """Return some runs, and where the list goes on, if it does."""
        query: Query = (("limit", str(min(limit, _PAGE))),)
        if before is not None:
            query += (("before", before),)
        if key is not None:
            query += (("key", key),)
        reply = yield Call("GET", "/runs", query)
        facts, following = self._server.runs(reply)
        return [self._run(one) for one in facts], following

    def _list_steps(self, limit: int | None, key: str | None = None) -> Steps[Run]:
        left = math.inf if limit is None else limit
        before: str | None = None
        while left > 0:
            runs, before = yield from self._page_steps(int(min(left, _PAGE)), before, key)
            yield from runs
            left -= len(runs)
            if before is None:
                return

    def _remove_steps(self, run: Run | str, force: bool) -> Routine[None]:
        found = run if isinstance(run, RemoteRunBase) else (yield from self._get_steps(run))
        # Of a damaged one the name may not be known; it is removed by its id, open or not.
        stream = force and found.to_json()["source"] == "stream" and found.damaged is None
        reply = yield Call("DELETE", f"/v1/stream/{quote(found.name)}" if stream else f"/runs/{found.id}")
        self._server.value(reply, found.id, 204)

    def _commands_steps(self) -> Routine[dict[str, Any]]:
        reply = yield Call("GET", "/commands")
        return dict(self._server.value(reply, having=("commands", "any")))


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, list, dict))


def _form(name: str, params: Mapping[str, Any]) -> Form:
    """Return the form that starts a command with files among the values of its parameters.

    Raises:
        UsageError: a file cannot be read.
    """
    fields: dict[str, str | Upload] = {"name": name}
    for one, value in params.items():
        if not _is_json(value):
            fields[f"p.{one}"] = upload_of(one, value)
        elif value is not None:
            fields[f"p.{one}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return Form(fields)


def _words(command: Command) -> str | list[str]:
    if isinstance(command, str):
        return command
    if isinstance(command, os.PathLike):
        return os.fspath(command)
    return [os.fspath(word) for word in command]


def _body_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as a body has them: what is at its default is left to the server.

    Raises:
        UsageError: a server takes no such option, or the value has no meaning.
    """
    known = [option.name for option in OPTIONS.values() if option.body]
    found = {}
    for name, given in options.items():
        if name not in known:
            raise unknown(name, known)
        option = OPTIONS[name]
        value = option.type.read(name, given)
        value = value if option.type.secret else option.type.keep(value)
        if value is not None or (option.default is not None and given is None):
            found[option.body] = value
    return found
