"""The responder: every route of a mounted `/runs`, for no framework in particular.

Owns the HTTP API (docs/reference/http.md): request in, reply out. May block for the
milliseconds that a start or a stop takes, so an event loop calls `respond` in a thread.
GET never starts, stops or deletes anything here.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from runcast.errors import RuncastError, RunNotFound, StreamNotFound, UsageError
from runcast.run import Run
from runcast.store import Store, default_path
from runcast.web.commands import NamedCommand, find_command
from runcast.web.durable.pages import StreamRun, StreamRuns, newest_first
from runcast.web.http import Reply, Request, json_reply
from runcast.web.logs import log_reply, problem_reply
from runcast.web.page import asset, list_page, run_page
from runcast.web.sending import Senders
from runcast.web.starts import OPTIONS, start_options
from runcast.wire import parse_signal, parse_stop

__all__ = [
    *("ROUTES", "Authorize", "MethodNotAllowed", "NotAllowed"),
    *("Responder", "allow_all", "by_id_alone"),
]

Authorize = Callable[[str, Run | None, Request], bool]
"""Whether a verb (list, start, read, stop, rerun, send, delete) may be done, to a run if there is one."""

_LIST_DEFAULT, _LIST_MOST = 50, 1000
_NUMBER = re.compile(r"[0-9]{1,9}")
_FILTERS: Mapping[str, Callable[[Run], object]] = {
    "name": lambda run: run.name,
    "state": lambda run: run.state,
    "source": lambda run: run.request["source"],
}
_HTML = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]


class MethodNotAllowed(RuncastError):
    """A method that a route does not have.

    Attributes:
        allowed: those that it has, as the header `Allow` lists them.
    """

    http_status = 405

    def __init__(self, allowed: str, method: str) -> None:
        super().__init__(f"expected {allowed} here, got {method[:20]!r}")
        self.allowed = allowed


class NotAllowed(RuncastError):
    """Something that this server does not let the web do."""

    http_status = 403


class UpgradeRefused(RuncastError):
    """A WebSocket where there can be none."""

    http_status = 426


class NoSuchPage(RuncastError, LookupError):
    """No route has this path."""

    http_status = 404


def allow_all(verb: str, run: Run | None, request: Request) -> bool:
    """Allow everything: whoever gets here was let in before."""
    return True


def by_id_alone(verb: str, run: Run | None, request: Request) -> bool:
    """Allow reading and stopping to whoever has a run's unguessable id, and nothing else."""
    return run is not None and verb in ("read", "stop")


def wants_html(request: Request) -> bool:
    """Return whether a browser navigates here, rather than a program asking."""
    return "text/html" in (request.header("accept") or "")


class Responder:
    """Answers what is asked of one store.

    Args:
        store: whose runs.
        commands: what may be started by name.
        allow_any_command: whether any command may be started. That is the power to run code.
        authorize: decides on each verb; by default everything is allowed to who gets here.
    """

    def __init__(
        self,
        store: Store,
        *,
        commands: Mapping[str, NamedCommand] | None = None,
        allow_any_command: bool = False,
        authorize: Authorize | None = None,
    ) -> None:
        self.store = store
        self._authorize = authorize or allow_all
        self.commands = dict(commands or {})
        self.allow_any_command = allow_any_command
        self.started = 0  # runs, for the metrics
        self.senders = Senders()
        self.streams: StreamRuns | None = None  # what others append to, listed and shown beside the runs

    def respond(self, request: Request) -> Reply:
        """Answer one request; an error is an answer, too, also that the store cannot be written to."""
        try:
            return self._dispatch(request)
        except MethodNotAllowed as error:
            return problem_reply(error).adding((("Allow", error.allowed),))
        except (RuncastError, OSError) as error:
            return problem_reply(error)

    def _dispatch(self, request: Request) -> Reply:
        for pattern, methods in _PATTERNS:
            if match := pattern.match(request.path):
                method = "GET" if request.method == "HEAD" else request.method
                if method == "OPTIONS":
                    return Reply(204, [("Allow", _allowed(methods))])
                if method not in methods:
                    raise MethodNotAllowed(_allowed(methods), request.method)
                verb, handler = methods[method]
                given: dict[str, Any] = match.groupdict()
                if verb is not None and "id" in given:
                    given = {"run": self.find(given["id"], verb, request)}
                elif verb is not None:
                    self.check(verb, request)
                return handler(self, request, **given)
        raise NoSuchPage(
            f"there is nothing at {request.path[:200]!r}: the list of runs is at {request.root}/runs"
        )

    def check(self, verb: str, request: Request, run: Run | None = None) -> None:
        """Refuse a verb that is not allowed to who asks.

        Raises:
            NotAllowed: it is not.
        """
        if not self._authorize(verb, run, request):
            raise NotAllowed(f"expected somebody who may {verb} here: ask who runs this server")

    def find(self, run_id: str, verb: str, request: Request) -> Run:
        """Return a run to which a verb may be done.

        Raises:
            RunNotFound: there is no run of this very id.
            NotAllowed: it may not.
        """
        # Streams first: a store that has no run of the id looks for those that are alike.
        stream = None if self.streams is None else self.streams.get(run_id.lower())
        run = stream or self.store.get(run_id)
        if run.id != run_id.lower():  # a part of an id is a comfort of the command line, not of the web
            raise RunNotFound(run_id, "this store")
        self.check(verb, request, run)
        return run

    def to_json(self, run: Run, request: Request) -> dict[str, Any]:
        """Return a run as JSON, with links to what can be done."""
        here = f"{request.root}/runs/{run.id}"
        links = {"self": here, "log": f"{here}/log"}
        if isinstance(run, StreamRun):
            links["stream"] = f"{request.root}/v1/stream/{quote(run.name)}"
        else:
            links |= {"stop": f"{here}/stop", "rerun": f"{here}/rerun"}
        return run.to_json() | {"links": links}

    def list_json(self, request: Request, limit: int = _LIST_DEFAULT) -> dict[str, Any]:
        """Return the newest runs as JSON, and streams among them."""
        told = (self._told(run, request, {}) for run in self._newest(limit))
        return {"runs": list(islice(filter(None, told), limit))}

    def _newest(self, limit: int | None, before: str | None = None) -> Iterator[Run]:
        """Yield runs and streams, newest first; of the runs so many at most."""
        runs = self.store.list(limit)
        if before is not None:
            runs = (run for run in runs if run.id < before)
        return runs if self.streams is None else newest_first(runs, self.streams.list(before))

    def _told(self, run: Run, request: Request, wanted: Mapping[str, str]) -> dict[str, Any] | None:
        """Return a run as JSON; None if it is not as wanted, or is removed by now."""
        try:
            if all(str(_FILTERS[name](run)) == value for name, value in wanted.items()):
                return self.to_json(run, request)
        except (OSError, RunNotFound, StreamNotFound):
            if os.path.isdir(run.directory.path):
                raise
        return None

    def _list(self, request: Request) -> Reply:
        accept = request.header("accept") or ""
        if "text/event-stream" in accept:
            from runcast.web.lists import list_stream

            return list_stream(self, request)
        if wants_html(request):
            return Reply(200, _HTML, list_page(request.root, self._first_run()))
        asked = dict(request.parameters)
        text = asked.get("limit", str(_LIST_DEFAULT))
        if not _NUMBER.fullmatch(text) or not 0 < int(text) <= _LIST_MOST:
            raise UsageError(f"expected limit as a number from 1 to {_LIST_MOST}, got {text[:40]!r}")
        wanted = {name: asked[name] for name in _FILTERS if name in asked}
        before = asked.get("before")
        runs = self._newest(None if wanted or before is not None else int(text), before)
        told = (self._told(run, request, wanted) for run in runs)
        return json_reply({"runs": list(islice(filter(None, told), int(text)))})

    def _first_run(self) -> str:
        """Return what makes a run in this store, to be typed by whoever sees none."""
        path = self.store.path
        store = "" if path == default_path() else f"--store {shlex.quote(path)} "
        return f"runcast {store}run -- ping -c 3 localhost"

    def _commands(self, request: Request) -> Reply:
        listed = [command.to_json() for command in self.commands.values()]
        return json_reply({"commands": listed, "any": self.allow_any_command})

    def _asset(self, request: Request, name: str) -> Reply:
        found = asset(name)
        if found is None:
            raise NoSuchPage(f"there is no asset {name[:80]!r}")
        kept = [
            ("Cache-Control", "public, max-age=31536000, immutable"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return Reply(200, [("Content-Type", found[0]), *kept], found[1])

    def _start(self, request: Request) -> Reply:
        asked = request.json()
        if unknown := set(asked) - {"name", "command", "params"} - OPTIONS:
            raise UsageError(f'expected "name" or "command", got {sorted(unknown)[0]!r} as well')
        if ("name" in asked) == ("command" in asked):
            raise UsageError('expected either "name" (one of /commands) or "command" in the body')
        if "name" in asked:
            if not isinstance(asked["name"], str):
                raise UsageError(f'expected "name" as a text, one of /commands, got {asked["name"]!r:.80}')
            if own := sorted(OPTIONS & set(asked) - {"title"}):
                raise UsageError(f"expected no {own[0]} with a name: the command has its own")
            if asked.get("params"):
                raise UsageError(f"expected no params: the command {asked['name']!r} takes none")
            run = find_command(self.commands, asked["name"]).start(self.store)
        elif not self.allow_any_command:
            raise NotAllowed(
                "expected the name of a command: this server starts no others "
                "(its operator can allow them: --allow-any-command)"
            )
        else:
            run = self.store.start(asked["command"], **start_options(asked))
        return self._created(run, request)

    def _created(self, run: Run, request: Request) -> Reply:
        self.started += 1
        value = self.to_json(run, request)
        return json_reply(value, 201, [("Location", quote(value["links"]["self"]))])

    def _show(self, request: Request, run: Run) -> Reply:
        if wants_html(request):
            return Reply(200, _HTML, run_page(request.root))
        return json_reply(self.to_json(run, request))

    def _log(self, request: Request, run: Run) -> Reply:
        if (request.header("upgrade") or "").lower() == "websocket":
            raise UpgradeRefused(
                "expected a plain request: this server speaks no WebSocket (it is a WSGI server); "
                "ask for text/event-stream, or serve runcast by ASGI"
            )
        return log_reply(run, request)

    def _stop(self, request: Request, run: Run) -> Reply:
        stop = parse_stop(request.json())
        options: dict[str, Any] = {"grace": stop.grace, "signal": stop.signal}
        run.stop(**{name: value for name, value in options.items() if value is not None})
        return json_reply(self.to_json(run, request), 202)

    def _signal(self, request: Request, run: Run) -> Reply:
        run.signal(parse_signal(request.json()))
        return json_reply(self.to_json(run, request), 202)

    def _rerun(self, request: Request, run: Run) -> Reply:
        if run.name in self.commands:
            return self._created(self.commands[run.name].start(self.store), request)
        if not self.allow_any_command:
            raise NotAllowed(
                f"expected a run of a named command, this one ran {shlex.join(run.command)[:200]!r}: "
                "this server starts no others (its operator can allow them: --allow-any-command)"
            )
        return self._created(self.store.rerun(run), request)

    def _stdin(self, request: Request, run: Run) -> Reply:
        eof = dict(request.parameters).get("eof", "0") not in ("0", "false", "")
        self.senders.send(run, request.body, eof=eof)
        return Reply(204)

    def _delete(self, request: Request, run: Run) -> Reply:
        if isinstance(run, StreamRun) and self.streams is not None:
            self.streams.remove(run)
        else:
            self.store.remove(run)
        return Reply(204)


class Operation(NamedTuple):
    """What a method does at a path.

    Attributes:
        verb: what `authorize` must allow before; None where everybody who gets here may.
        handler: is called with the request, and with the run where the path has an id.
    """

    verb: str | None
    handler: Callable[..., Reply]


ROUTES: Final[Mapping[str, Mapping[str, Operation]]] = {
    "/runs": {"GET": Operation("list", Responder._list), "POST": Operation("start", Responder._start)},
    "/commands": {"GET": Operation("list", Responder._commands)},
    "/runs/-/assets/{name}": {"GET": Operation(None, Responder._asset)},
    "/runs/{id}": {
        "GET": Operation("read", Responder._show),
        "DELETE": Operation("delete", Responder._delete),
    },
    "/runs/{id}/log": {"GET": Operation("read", Responder._log)},
    "/runs/{id}/stop": {"POST": Operation("stop", Responder._stop)},
    "/runs/{id}/signal": {"POST": Operation("stop", Responder._signal)},
    "/runs/{id}/rerun": {"POST": Operation("rerun", Responder._rerun)},
    "/runs/{id}/stdin": {"POST": Operation("send", Responder._stdin)},
}
_PARAMETERS = {"{id}": r"(?P<id>[0-9A-Za-z]+)", "{name}": r"(?P<name>[\w.-]+)"}


def _pattern(path: str) -> re.Pattern[str]:
    for name, pattern in _PARAMETERS.items():
        path = path.replace(name, pattern)
    return re.compile(path + r"/?\Z")


_PATTERNS: Final = [(_pattern(path), methods) for path, methods in ROUTES.items()]


def _allowed(methods: Mapping[str, object]) -> str:
    return ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
