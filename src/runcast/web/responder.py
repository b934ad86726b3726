"""The responder: every route of a mounted `/runs`, for no framework in particular.

Owns the HTTP API (docs/reference/http.md): request in, reply out. May block for the
milliseconds that a start or a stop takes, so an event loop calls `respond` in a thread, but for
what `is_quick` names.
GET never starts, stops or deletes anything here.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from runcast.acting import acting
from runcast.durable.stream_run import StreamRun
from runcast.errors import RuncastError, RunNotFound
from runcast.run import Run
from runcast.runs import Store, default_path
from runcast.store.audit import audited
from runcast.trace_context import answering
from runcast.web.api.access import Access
from runcast.web.api.artifacts import artifact_reply, artifacts_reply
from runcast.web.api.authorize import Decide, by_id_alone
from runcast.web.api.commands import NamedCommand, find_command
from runcast.web.api.filters import not_newer, parse_filters
from runcast.web.api.listing import Listing, beside_in_json, last_line_of
from runcast.web.api.log_reply import log_reply, problem_reply
from runcast.web.api.problem_page import opens_page, problem_page
from runcast.web.api.refusals import MethodNotAllowed, NoSuchPage, NotAllowed, UpgradeDropped, UpgradeRefused
from runcast.web.api.search import search_reply, search_runs_reply
from runcast.web.api.sharing import share_reply, swapped
from runcast.web.api.start_body import start_body
from runcast.web.api.start_run import start_run
from runcast.web.api.stdin_gate import Senders
from runcast.web.http.messages import Reply, Request, json_reply
from runcast.web.page import asset, element_module, list_page, run_page, with_imports_below
from runcast.wire import parse_note, parse_resize, parse_signal, parse_stop
from runcast.wire.jsons import rfc3339

__all__ = ["ROUTES", "Responder", "by_id_alone"]

_SEARCHED_MOST = 1000  # runs in one search
_CHOOSING_SECONDS = 2.0  # in which `authorize` decides on them
_LOG = re.compile(r"/runs/(?P<id>[0-9A-Za-z]+)/log/?\Z")
_SEARCHES = ("tail", "line", "since")  # places that are looked for in the log, maybe in all of it
_SHOWN_VERBS = ("list", "stop", "rerun", "delete", "share")  # that the page of a run has something for
_HTML = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
_SCRIPT = [
    ("Content-Type", "text/javascript; charset=utf-8"),
    ("Cache-Control", "no-cache"),  # its address stays the same from version to version
    ("X-Content-Type-Options", "nosniff"),
]


def wants_html(request: Request) -> bool:
    """Return whether the client is a browser that navigates here, rather than a program."""
    return "text/html" in (request.header("accept") or "")


class Responder(Access):
    """Answers the requests to one store.

    Args:
        store: whose runs.
        commands: what may be started by name.
        allow_any_command: whether any command may be started. That is the power to run code.
        authorize: decides on each verb; by default everything is allowed to who gets here.
        at_once: `authorize` is known to return at once, so that an event loop may call it.
    """

    def __init__(
        self,
        store: Store,
        *,
        commands: Mapping[str, NamedCommand] | None = None,
        allow_any_command: bool = False,
        authorize: Decide | None = None,
        at_once: bool = False,
    ) -> None:
        super().__init__(store, authorize, at_once=at_once)
        self.commands = dict(commands or {})
        self.own_commands: Mapping[str, NamedCommand] = {}  # of the server itself, which are not listed
        self.allow_any_command = allow_any_command
        self.count_start: Callable[[], object] = int  # for the metrics
        self.sockets = False  # whether a WebSocket can be served beside the requests
        self.senders = Senders()
        self.listing = Listing(self, self.to_json)

    def respond(self, request: Request) -> Reply:
        """Answer one request; an error is an answer, too, also that the store cannot be written to."""
        try:
            with acting(lambda: request.who, request.peer), answering(request.header):
                return self.lasting(self._dispatch(request), request)
        except MethodNotAllowed as error:
            return problem_reply(error).adding((("Allow", error.allowed),))
        except UpgradeDropped as error:
            return problem_reply(error).adding(error.headers)
        except (RuncastError, OSError) as error:
            reply = problem_reply(error)
            if opens_page(request):
                page = problem_page(reply, error, request, listed=self._authorize("list", None, request))
                return replace(page, away=reply.away)
            return reply

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
                if verb is None or "id" not in given:
                    if verb is not None:
                        self.check(verb, request)
                    return handler(self, request, **given)
                run = self.find(given.pop("id"), verb, request)
                if verb == "read" and opens_page(request):
                    if (page := swapped(run, request, self.share_key())) is not None:
                        return page
                return self.bounded(handler(self, request, run=run, **given), run, request)
        raise NoSuchPage(
            f"there is nothing at {request.path[:200]!r}: the list of runs is at {request.root}/runs"
        )

    def is_quick(self, request: Request) -> bool:
        """Return whether an event loop may answer: a log begins after microseconds, other replies later.

        They read many folders, or wait for the application's `authorize`, a supervisor or a disk.
        """
        if not self.at_once or request.method not in ("GET", "HEAD"):
            return False
        log = _LOG.match(request.path)
        if log is None or not self.is_there(log["id"]):
            return False
        return not (request.query and any(name in _SEARCHES for name, _ in request.parameters))

    def to_json(self, run: Run, request: Request) -> dict[str, Any]:
        """Return a run as JSON, with links to what can be done, and the last line of one that goes on."""
        here = f"{request.root}/runs/{run.id}"
        links = {"self": here, "log": f"{here}/log"}
        if isinstance(run, StreamRun):
            links["stream"] = f"{request.root}/v1/stream/{quote(run.name)}"
        else:
            links |= {"stop": f"{here}/stop", "rerun": f"{here}/rerun"}
        value = run.to_json() | {"links": links}
        return value if value["outcome"] else value | {"last_line": last_line_of(run)}

    def _list(self, request: Request) -> Reply:
        accept = request.header("accept") or ""
        if "text/event-stream" in accept:
            from runcast.web.live.run_list import LIST_RUNS, list_stream

            return list_stream(
                self.store.path,
                request.root,
                lambda: self.listing.front(LIST_RUNS),
                lambda run: self.listing.row(run, request),
            )
        if wants_html(request):
            commands = self._has_startable(request)
            return Reply(200, _HTML, list_page(request.root, self._first_run(), commands=commands))
        return self.listing.reply(request)

    def _first_run(self) -> str:
        """Return what makes a run in this store, to be typed where the list is empty."""
        path = self.store.path
        store = "" if path == default_path() else f"--store {shlex.quote(path)} "
        return f"runcast {store}run -- ping -c 3 localhost"

    def _commands(self, request: Request) -> Reply:
        listed = [one.to_json() for name, one in self.commands.items() if self.may_start(name, request)]
        return json_reply({"commands": listed, "any": self._any_startable(request)})

    def _any_startable(self, request: Request) -> bool:
        return self.allow_any_command and self.may_start(None, request)

    def _has_startable(self, request: Request) -> bool:
        """Return whether this client may start anything."""
        return self._any_startable(request) or any(self.may_start(name, request) for name in self.commands)

    def _asset(self, request: Request, name: str) -> Reply:
        found = asset(name)
        if found is None:
            raise NoSuchPage(f"there is no asset {name[:80]!r}")
        kept = [
            ("Cache-Control", "public, max-age=31536000, immutable"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        body = with_imports_below(found[1], ".", request.query) if request.query else found[1]
        return Reply(200, [("Content-Type", found[0]), *kept], body)

    def _element(self, request: Request) -> Reply:
        return Reply(200, _SCRIPT, with_imports_below(element_module(), "./assets", request.query))

    def _start(self, request: Request) -> Reply:
        who = request.who
        run = start_run(
            start_body(request),
            self.store,
            lambda name: self.own_commands.get(name) or find_command(self.commands, name),
            any_command=self.allow_any_command,
            may_have=lambda run: run.started_by == who or self._authorize("read", run, request),
        )
        return self._created(run, request)

    def _created(self, run: Run, request: Request) -> Reply:
        self.count_start()
        value = self.to_json(run, request)
        return json_reply(value, 201, [("Location", quote(value["links"]["self"]))])

    def _show(self, request: Request, run: Run) -> Reply:
        if wants_html(request):
            return Reply(200, _HTML, self._run_page(request, run))
        value, outcome = self.to_json(run, request) | beside_in_json(run), run.outcome
        if outcome is None and "stop" in value["links"] and self._authorize("send", run, request):
            value["links"]["stdin"] = f"{value['links']['self']}/stdin"
        if outcome is not None and outcome.traceback and self._authorize("traceback", run, request):
            value["outcome"] = {**(value["outcome"] or {}), "traceback": outcome.traceback}
        if self.share_key() is not None and not self._authorize("read", run, request):  # so by a share link
            value["links"] = {name: value["links"][name] for name in ("self", "log")}
            value["shared_until"] = rfc3339(self.shared_until(run, request))
        return json_reply(value)

    def _run_page(self, request: Request, run: Run) -> bytes:
        """Return the page of a run, without what this client may not do."""
        may = [
            verb for verb in _SHOWN_VERBS if self._authorize(verb, None if verb == "list" else run, request)
        ]
        if "list" in may and self._has_startable(request):
            may.append("commands")
        if self.share_key() is None and "share" in may:
            may.remove("share")
        return run_page(request.root, may)

    def _search(self, request: Request, run: Run) -> Reply:
        return search_reply(run, request)

    def _search_runs(self, request: Request) -> Reply:
        params = dict(request.parameters)
        wanted = parse_filters(params)
        deadline = time.monotonic() + _CHOOSING_SECONDS
        before = not_newer(params, self.store.path)
        newest = self.listing.newest(None if wanted else _SEARCHED_MOST + 1, before, wanted)
        runs: list[str] = []
        older: str | None = None
        for run in newest:
            if isinstance(run, StreamRun):
                continue
            if len(runs) == _SEARCHED_MOST or time.monotonic() > deadline:
                older = run.id
                break
            with contextlib.suppress(OSError, RunNotFound):
                if self.listing.passes(run, wanted) and self._authorize("read", run, request):
                    runs.append(run.id)
        return search_runs_reply(self.store.path, runs, older, request)

    def _log(self, request: Request, run: Run) -> Reply:
        upgrades = (request.header("upgrade") or "").lower() == "websocket"
        if upgrades or (request.method == "GET" and request.header("sec-websocket-key")):
            # Where sockets are served they are not requests. To others no proxy's Upgrade would help.
            raise UpgradeDropped(request.header) if self.sockets and not upgrades else UpgradeRefused
        return log_reply(run, request, page=lambda: self._run_page(request, run))

    def _artifacts(self, request: Request, run: Run) -> Reply:
        return artifacts_reply(run, request)

    def _artifact(self, request: Request, run: Run, path: str) -> Reply:
        return artifact_reply(run, path, request)

    def _stop(self, request: Request, run: Run) -> Reply:
        stop = parse_stop(request.json())
        options: dict[str, Any] = {"grace": stop.grace, "signal": stop.signal}
        run.stop(**{name: value for name, value in options.items() if value is not None})
        return json_reply(self.to_json(run, request), 202)

    def _signal(self, request: Request, run: Run) -> Reply:
        run.signal(parse_signal(request.json()))
        return json_reply(self.to_json(run, request), 202)

    def _resize(self, request: Request, run: Run) -> Reply:
        size = parse_resize(request.json())
        run.resize(size.columns, size.rows)
        return json_reply(self.to_json(run, request))

    def _note(self, request: Request, run: Run) -> Reply:
        run.note(parse_note(request.json()))
        return json_reply(self.to_json(run, request))

    def _pin(self, request: Request, run: Run) -> Reply:
        run.pin()
        return json_reply(self.to_json(run, request))

    def _unpin(self, request: Request, run: Run) -> Reply:
        run.unpin()
        return json_reply(self.to_json(run, request))

    def _share(self, request: Request, run: Run) -> Reply:
        with audited(self.store.path, "share", run.id, run.name):
            return share_reply(run, request, self.share_key())

    def _rerun(self, request: Request, run: Run) -> Reply:
        if run.name in self.commands:
            return self._created(self.commands[run.name].again(self.store, run), request)
        if run.command and not self.allow_any_command:  # of another kind the store says what it is
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
    "/runs/-/search": {"GET": Operation("list", Responder._search_runs)},
    "/runs/-/assets/{name}": {"GET": Operation(None, Responder._asset)},
    "/runs/-/runcast-log.js": {"GET": Operation(None, Responder._element)},
    "/runs/{id}": {
        "GET": Operation("read", Responder._show),
        "DELETE": Operation("delete", Responder._delete),
    },
    "/runs/{id}/log": {"GET": Operation("read", Responder._log)},
    "/runs/{id}/search": {"GET": Operation("read", Responder._search)},
    "/runs/{id}/artifacts": {"GET": Operation("read", Responder._artifacts)},
    "/runs/{id}/artifacts/{path}": {"GET": Operation("read", Responder._artifact)},
    "/runs/{id}/stop": {"POST": Operation("stop", Responder._stop)},
    "/runs/{id}/signal": {"POST": Operation("stop", Responder._signal)},
    "/runs/{id}/note": {"POST": Operation("send", Responder._note)},
    "/runs/{id}/resize": {"POST": Operation("send", Responder._resize)},
    "/runs/{id}/pin": {"POST": Operation("pin", Responder._pin)},
    "/runs/{id}/unpin": {"POST": Operation("pin", Responder._unpin)},
    "/runs/{id}/share": {"POST": Operation("share", Responder._share)},
    "/runs/{id}/rerun": {"POST": Operation("rerun", Responder._rerun)},
    "/runs/{id}/stdin": {"POST": Operation("send", Responder._stdin)},
}
_PARAMETERS = {"{id}": r"(?P<id>[0-9A-Za-z]+)", "{name}": r"(?P<name>[\w.-]+)"}
_PARAMETERS |= {"{path}": r"(?P<path>.+)"}


def _pattern(path: str) -> re.Pattern[str]:
    for name, pattern in _PARAMETERS.items():
        path = path.replace(name, pattern)
    return re.compile(path + r"/?\Z")


_PATTERNS: Final = [(_pattern(path), methods) for path, methods in ROUTES.items()]


def _allowed(methods: Mapping[str, object]) -> str:
    return ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
