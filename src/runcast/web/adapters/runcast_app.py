"""What the adapters of all frameworks share: the store, the mounted API, `start` and `stream`.

Owns the meaning of an adapter's arguments; what is left to an adapter is to find its framework's
request and to return its framework's response.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn, Unpack, cast

from runcast.acting import acting, is_acting
from runcast.errors import UsageError
from runcast.log import CAP_BYTES
from runcast.own_thread import in_pool
from runcast.quantities import size
from runcast.run import Run
from runcast.runs import Store
from runcast.sources.kinds import is_command
from runcast.sources.run_context import note_starter
from runcast.store.token import SHORT
from runcast.trace_context import answering
from runcast.web.adapters.exposure import warning_once
from runcast.web.adapters.streaming_view import stream_reply
from runcast.web.adapters.users import name_in
from runcast.web.adapters.viewed import KEEP_VIEWED, keep_of
from runcast.web.adapters.websocket import POLICY, Socket, serve_websocket
from runcast.web.api.authorize import Authorize, Decide, allow_all, as_guarded, awaited, by_id_alone
from runcast.web.api.commands import Commands, NamedCommand, find_command, named_commands
from runcast.web.api.durable.routes import APPEND_BYTES, Durable
from runcast.web.api.durable.waits import Gone, answer, answer_async
from runcast.web.api.log_reply import problem_reply
from runcast.web.api.refusals import NotAllowed
from runcast.web.api.stdin_gate import is_sent, sent
from runcast.web.http.messages import BODY_BYTES, Reply, Request
from runcast.web.http.origins import Origins, is_foreign
from runcast.web.http.paths import STREAMS, is_stream
from runcast.web.http.share import ShareKey
from runcast.web.live.feeds import Feeds
from runcast.web.live.once_here import here, once_here
from runcast.web.responder import Responder
from runcast.web.servers.left_running import log_at_exit
from runcast.web.servers.shutdown import stopping, wake_with_server
from runcast.web.servers.unwritable import warn_unwritable
from runcast.who import VISITOR, Kind, Who

if TYPE_CHECKING:
    from runcast.options.typed import StartOptions, StreamOptions

__all__ = ["OPTIONS", "RuncastApp", "body_limit", "command_line"]

OPTIONS: Final = (  # of a `RuncastApp`
    *("store", "authorize", "commands", "allow_any_command"),
    *("allow_origins", "stream_cap", "streams_cap", "keep_viewed", "keep", "share_secret", "user"),
)


_OPEN: Final = (None, allow_all, by_id_alone)  # where no login stands before a run: its id alone opens it


class RuncastApp:
    """One application's runs.

    Args:
        store: where runs go; `$RUNCAST_STORE`, else the user's state folder by default.
        authorize: called with a verb (`list`, `start`, `read`, `stop`, …; of a stream `create`,
            `append`, `read`, `delete`), a run or None, and the request. By default every client with a
            run's unguessable id may read and stop it, no more. It may block, and be `async def`.
        commands: what may be started from the page of runs: a list of commands, or a table of
            named ones. Needs `authorize`.
        allow_any_command: whether any command may be started. That is the power to run code.
        allow_origins: other origins, such as `https://app.example`, whose pages may read runs and
            streams; without credentials, and nothing else.
        stream_cap: what others may append to one stream: bytes, `64M`, `1G`; None for no bound.
        streams_cap: and to all of them together.
        keep_viewed: how many runs that viewers of a view started stay when they are over, and for
            how long; None keeps all. Those of `start`, of a POST, or with a `key=` stay anyway.
        keep: what stays of all finished runs of the store, as in `100`, `"7d"`, `"2G"` or a list of
            these; None for all.
        share_secret: signs share links, of 16 characters or more; by default the framework's own secret,
            where it has one. Without any there are none, nor without an `authorize` of the application's.
        user: called with a request; returns the name of who sends it, or None, for the record of runs and the
            audit. By default the user that the framework has logged in, where it has one.

    Raises:
        UsageError: commands that nobody may start, an origin, a size or a time that is none, a secret
            that can be guessed.
    """

    screens: bool = True  # whether what other sites' pages may not do is refused here
    sockets: bool = False  # whether `serve_socket` is called for WebSockets
    warns: bool = True  # whether it is logged here that the store cannot be written to

    def __init__(
        self,
        *,
        store: Store | str | os.PathLike[str] | None = None,
        authorize: Authorize | None = None,
        commands: Commands | None = None,
        allow_any_command: bool = False,
        allow_origins: Iterable[str] = (),
        stream_cap: int | str | None = CAP_BYTES,
        streams_cap: int | str | None = None,
        keep_viewed: tuple[int, float | str] | None = KEEP_VIEWED,
        keep: int | str | Sequence[int | str] | None = None,
        share_secret: str | bytes | None = None,
        user: Callable[[Request], str | None] | None = None,
    ) -> None:
        if authorize is None and (commands or allow_any_command):
            raise UsageError(
                "expected authorize= as well as commands=: a function (verb, run, request) that says who "
                "may start them, such as one that looks at who is logged in"
            )
        if keep is not None and isinstance(store, Store):
            raise UsageError(
                "expected keep= with the path of a store, got it with a Store: Store.open takes it"
            )
        if share_secret is not None and len(share_secret) < SHORT:
            raise UsageError(
                f"expected share_secret= of at least {SHORT} characters, got {len(share_secret)}: "
                "a shorter one can be guessed"
            )
        self._secret, self._shares = share_secret, authorize not in _OPEN
        self._user = user
        self.origins = Origins(allow_origins)
        self._keep = keep_of(keep_viewed)
        caps = _cap("stream_cap", stream_cap), _cap("streams_cap", streams_cap)
        self.responder = Responder(
            store if isinstance(store, Store) else Store.open(store, keep=keep),
            commands=named_commands(commands or ()),
            allow_any_command=allow_any_command,
            authorize=_decide(authorize),
            at_once=authorize in (*_OPEN, as_guarded),  # ours, which do not block
        )
        self.responder.share_key, self.responder.sockets = self._share_key, self.sockets
        if self.warns:
            warn_unwritable(self.store.path)
        log_at_exit(self.store)
        wake_with_server()  # replies may have threads that signals do not come to
        self.durable = Durable(self.responder)
        self.durable.streams.caps.stream, self.durable.streams.caps.total = caps
        self.mounted: str | None = None  # below which path `/runs` and others are; None where nowhere

    @property
    def store(self) -> Store:
        """Where the runs go."""
        return self.responder.store

    @property
    def commands(self) -> Mapping[str, NamedCommand]:
        """What may be started by name."""
        return self.responder.commands

    def own_secret(self) -> str | bytes | None:
        """Return the framework's secret, while a request is answered; None where it has none."""
        return None

    def _share_key(self) -> ShareKey | None:
        secret = (self._secret or self.own_secret()) if self._shares else None
        return ShareKey(secret) if secret else None

    def user_name(self, request: Request) -> str | None:
        """Return the name of the user that the framework has logged in; None for nobody."""
        return name_in(request.original)

    def current(self) -> Request | None:
        """Return the request that is answered in this context; None where the framework does not say."""
        return None

    def identified(self, request: Request) -> Request:
        """Return a request of which is known who sends it."""
        return replace(request, identify=self.identify)

    def identify(self, request: Request) -> Who:
        """Return who sends a request."""
        name = self.user_name(request) if self._user is None else self._user(request)
        return VISITOR if name is None else Who(Kind.USER, name)

    def acting_as(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Have what is started, stopped or changed in a `with` block be done by a user of this name."""
        return acting(Who(Kind.USER, name))

    @contextlib.contextmanager
    def _acting(self, request: Request | None) -> Iterator[None]:
        """Have what is done meanwhile be done by who sends a request, in its trace, if there is one."""
        if request is None:
            yield
            return
        with acting(lambda: self.identify(request), request.peer), answering(request.header):
            yield

    def debug(self, request: Request | None) -> bool:
        """Return the framework's debug setting, while a request is answered or outside of any."""
        return False

    def mounted_for(self, request: Request) -> str | None:
        """Return below which path the API is for one request, behind its root; None where nowhere."""
        return self.mounted

    def _as_in(self, source: Any, request: Request | None, options: StartOptions) -> StartOptions:
        """Return options of a start: tracebacks are shown where the framework shows its own."""
        if options.get("traceback") is None and not isinstance(source, Run) and not is_command(source):
            options["traceback"] = self.debug(request)
        return options

    def start(self, source: Any, *args: Any, **options: Unpack[StartOptions]) -> Run:
        """Start a run that no viewer's leaving ends; see `Store.start`."""
        with self._acting(None if is_acting() else self.current()):
            return self.store.start(source, *args, **self._as_in(source, None, options))

    def start_command(self, name: str, params: Mapping[str, object] | None = None) -> Run:
        """Start one of `commands`, with values of its parameters.

        Raises:
            CommandNotFound: there is none of this name.
            UsageError: a parameter is unknown, missing, or its value does not fit.
        """
        with self._acting(None if is_acting() else self.current()):
            return find_command(self.responder.commands, name).start(self.store, params)

    def screened(self, request: Request) -> Reply | None:
        """Return the answer to what a page of another site makes a browser ask, where that is all of it.

        That is the refusal of what would change something, and whether a page may read.
        """
        if (reply := self.origins.preflight(request)) is not None:
            return reply
        if self.screens and request.method not in ("GET", "HEAD", "OPTIONS") and is_foreign(request):
            return problem_reply(
                NotAllowed("expected a page of this server: another one may change nothing here")
            )
        return None

    def serve(self, request: Request, gone: Callable[[], bool] = lambda: False) -> Reply:
        """Answer a request to the mounted API, blocking this thread.

        Args:
            request: what came.
            gone: returns whether the client has left; called while there is nothing to send.
        """
        request, reply = self.identified(request), self.screened(request)
        if reply is None and is_stream(request.path):
            reply = once_here(lambda: answer(self.durable, request, gone), gone)
        elif reply is None:
            reply = once_here(lambda: self.responder.respond(request), gone)
        return self.origins.apply(request, reply)

    async def serve_async(self, request: Request, feeds: Feeds, gone: Gone) -> Reply:
        """Answer a request to the mounted API without blocking the event loop.

        Args:
            request: what came.
            feeds: those of the event loop, which end what waits when the server ends.
            gone: returns when the client has left; called only where the reply must be waited for.
        """
        request, reply = self.identified(request), self.screened(request)
        if reply is None:
            reply = await self._answer(request, feeds, gone)
            while reply.away is not None and await here(reply.away, lambda: feeds.stopping):
                reply = await self._answer(request, feeds, gone)
        return self.origins.apply(request, reply)

    async def _answer(self, request: Request, feeds: Feeds, gone: Gone) -> Reply:
        if is_stream(request.path):
            reply = await answer_async(self.durable, request, feeds, gone)
            ended = self.responder.ended(request)  # while it waited
            return reply if ended is None else problem_reply(ended)
        if self.responder.is_quick(request):
            return self.responder.respond(request)
        if is_sent(request):  # waits for a program to read it, maybe for ever
            return await sent(self.responder.respond, request, feeds)
        return await in_pool(self.responder.respond, request)  # waits for a supervisor or a disk

    async def serve_socket(
        self, request: Request, feeds: Feeds, socket: Socket, *, reads_only: bool = False
    ) -> None:
        """Serve a WebSocket. Pages of other sites can open one: only a listed origin may, and only read.

        Args:
            request: the handshake.
            feeds: those of the event loop.
            socket: the connection, which is not accepted yet.
            reads_only: the client may read, whatever else `authorize` allows it.
        """
        foreign = reads_only or (self.screens and is_foreign(request))
        if foreign and not self.origins.may_read("GET", request.path, request.header):
            await socket.close(POLICY)
            return
        await serve_websocket(self.responder, feeds, self.identified(request), socket, reads_only=foreign)

    def view(
        self,
        request: Request,
        view: str,
        source: Any,
        args: tuple[Any, ...],
        **options: Unpack[StreamOptions],
    ) -> Reply:
        """Answer a request to a view that streams.

        Args:
            request: what came, with the view's whole path.
            view: names the view, the same in every process and after a restart.
            source: what to run: a command, a function or a generator.
            args: the function's.
            options: for `Store.start`; a run without viewers is stopped after a minute, by default. And
                `interval`, the seconds of silence after which a visible line is given.

        Raises:
            UsageError: of what the view itself is made of; the visitor can do nothing about it.
        """
        return once_here(lambda: self._view(request, view, source, args, **options))

    def _view(self, request: Request, view: str, source: Any, args: tuple[Any, ...], **options: Any) -> Reply:
        mounted, known = self.mounted_for(request), self.identified(request)
        runs = None if mounted is None else f"{request.root}{mounted}/runs"
        interval = options.pop("interval", None)
        of_run = cast("StartOptions", options)
        with self._acting(request):
            reply = stream_reply(
                self.store,
                source,
                request,
                args=args,
                view=view,
                runs=runs,
                may_read=lambda run: self.responder.may_read(run, known, f"{request.root}{mounted}"),
                interval=interval,
                keep=self._keep,
                options=self._as_in(source, request, of_run),
            )
        return self.origins.apply(request, reply, view=True)

    async def view_async(
        self, request: Request, view: str, source: Any, args: tuple[Any, ...], **options: Any
    ) -> Reply:
        """Answer a request to a view without blocking the event loop; see `view`."""
        note_starter()  # before a thread starts it, in another context
        reply = await in_pool(self._view, request, view, source, args, **options)
        while reply.away is not None and await here(reply.away, stopping):
            reply = await in_pool(self._view, request, view, source, args, **options)
        return reply

    def below(self, request: Request) -> Request:
        """Return a request as the mounted API sees it."""
        prefix = self.mounted or ""
        path = request.path[len(prefix) :] if request.path.startswith(prefix) else request.path
        return replace(request, root=request.root + prefix, path=path)

    @property
    def rules(self) -> Iterable[str]:
        """The paths to mount: runs, streams, and what is behind each."""
        return ("/runs", STREAMS, *(["/commands"] if self.responder.commands else []))


def _cap(name: str, value: int | str | None) -> int | None:
    try:
        return None if value is None else size(value, zero=False)
    except (ValueError, TypeError):
        raise UsageError(
            f"expected {name}= as a size such as 4096, 64M or 1G, or None, got {value!r:.80}"
        ) from None


def body_limit(path: str) -> int:
    """Return how many bytes a request's body may have, by its path below where the API is mounted."""
    return APPEND_BYTES if is_stream(path) else BODY_BYTES


def _decide(authorize: Authorize | None) -> Decide:
    if authorize is None:
        return _by_default
    # Behind the guard of `runcast serve` nobody is a stranger who gets here.
    return as_guarded if authorize is as_guarded else warning_once(awaited(authorize))


def _by_default(verb: str, run: Run | None, request: Request) -> bool:
    """Decide as `by_id_alone`, and say of a stream what to write: nobody else could know.

    Raises:
        NotAllowed: it is about a stream.
    """
    if is_stream(request.path) and run is None:
        raise NotAllowed(
            f"expected an application that lets somebody {verb} streams, this one says nothing of it: "
            f"its author can pass authorize=, a function (verb, run, request) that returns whether "
            f"{verb!r} is allowed"
        )
    return by_id_alone(verb, run, request)


def command_line(store: Store, arguments: Iterable[str]) -> NoReturn:
    """Become the command line, `runcast`, with the application's store."""
    environment = os.environ | {"RUNCAST_STORE": store.path}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "runcast", *arguments], environment)
