"""What the adapters of all frameworks share: the store, the mounted API, `start` and `stream`.

Owns the meaning of an adapter's arguments; what is left to an adapter is to find its framework's
request and to return its framework's response.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from runcast.errors import RuncastError, UsageError
from runcast.log import CAP_BYTES
from runcast.quantities import size
from runcast.run import Run
from runcast.store import Store
from runcast.web.commands import Commands, NamedCommand, find_command, named_commands
from runcast.web.durable.routes import APPEND_BYTES, PREFIX, Durable, is_stream
from runcast.web.durable.waits import answer
from runcast.web.exposure import warning_once
from runcast.web.going_on import say_at_exit
from runcast.web.http import BODY_BYTES, Reply, Request
from runcast.web.logs import problem_reply
from runcast.web.origins import Origins
from runcast.web.responder import Authorize, NotAllowed, Responder, by_id_alone
from runcast.web.viewed import KEEP_VIEWED, keep_of
from runcast.web.views import STOP_UNWATCHED, stream_reply

__all__ = ["OPTIONS", "STREAMS", "Cast", "body_limit", "command_line", "decorated", "is_foreign"]

STREAMS: Final = PREFIX.rstrip("/")
OPTIONS: Final = (  # of a `Cast`
    *("store", "authorize", "commands", "allow_any_command"),
    *("allow_origins", "stream_cap", "streams_cap", "keep_viewed"),
)


class Cast:
    """One application's runs.

    Args:
        store: where runs go; `$RUNCAST_STORE`, else the user's state folder by default.
        authorize: called with a verb (`list`, `start`, `read`, `stop`, …; of a stream `create`,
            `append`, `read`, `delete`), a run or None, and the request. By default whoever has a
            run's unguessable id may read and stop it, no more.
        commands: what may be started from the page of runs: a list of commands, or a table of
            named ones. Needs `authorize`.
        allow_any_command: whether any command may be started. That is the power to run code.
        allow_origins: other origins, such as `https://app.example`, whose pages may read runs and
            streams; without credentials, and nothing else.
        stream_cap: what others may append to one stream: bytes, `64M`, `1G`; None for no bound.
        streams_cap: and to all of them together.
        keep_viewed: how many runs that viewers of a view started stay when they are over, and for
            how long; None keeps all. Those of `start`, of a POST, or with a `key=` stay anyway.

    Raises:
        UsageError: commands that nobody may start, an origin, a size or a time that is none.
    """

    screens: bool = True  # whether what other sites' pages may not do is refused here

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
    ) -> None:
        if authorize is None and (commands or allow_any_command):
            raise UsageError(
                "expected authorize= as well as commands=: a function (verb, run, request) that says who "
                "may start them, such as one that looks at who is logged in"
            )
        self.origins = Origins(allow_origins)
        self._keep = keep_of(keep_viewed)
        caps = _cap("stream_cap", stream_cap), _cap("streams_cap", streams_cap)
        self.responder = Responder(
            store if isinstance(store, Store) else Store.open(store),
            commands=named_commands(commands or ()),
            allow_any_command=allow_any_command,
            authorize=_by_default if authorize is None else warning_once(authorize),
        )
        say_at_exit(self.store)
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

    def start(self, source: Any, *args: Any, **options: Any) -> Run:
        """Start a run that no viewer's leaving ends; see `Store.start`."""
        return self.store.start(source, *args, **options)

    def start_command(self, name: str) -> Run:
        """Start one of `commands`.

        Raises:
            CommandNotFound: there is none of this name.
        """
        return find_command(self.responder.commands, name).start(self.store)

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
            gone: says whether the client has left; asked while there is nothing to say.
        """
        reply = self.screened(request)
        if reply is None and is_stream(request.path):
            reply = answer(self.durable, request, gone)
        elif reply is None:
            reply = self.responder.respond(request)
        return self.origins.told(request, reply)

    def view(
        self,
        request: Request,
        view: str,
        source: Any,
        args: tuple[Any, ...],
        *,
        interval: float | None = None,
        stop_unwatched: float | None = STOP_UNWATCHED,
        **options: Any,
    ) -> Reply:
        """Answer a request to a view that streams.

        Args:
            request: what came, with the view's whole path.
            view: names the view, the same in every process and after a restart.
            source: what to run: a command, a function or a generator.
            args: the function's.
            interval: seconds of silence after which a visible line is given.
            stop_unwatched: seconds after which a run that nobody reads is stopped; None keeps it.
            options: for `Store.start`.
        """
        runs = None if self.mounted is None else f"{request.root}{self.mounted}/runs"
        options["stop_unwatched"] = stop_unwatched
        reply = stream_reply(
            self.store,
            source,
            request,
            args=args,
            view=view,
            runs=runs,
            interval=interval,
            keep=self._keep,
            options=options,
        )
        return self.origins.told(request, reply, view=True)

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


def decorated(stream: Callable[..., Any], source: Any, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a view that streams a function; where there is none yet, a decorator that does.

    Args:
        stream: the adapter's; is called with the function, a view's arguments and `options`.
        source: the function, or None.
        options: of the decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function):
            raise _stray_stream()

        @functools.wraps(function)
        def view(*args: Any, **kwargs: Any) -> Any:
            named = {"kwargs": kwargs} if kwargs else {}
            return stream(function, *args, **named, **options)

        # FastAPI reads the parameters, and would look through to the generator and feed it itself.
        with contextlib.suppress(ValueError, TypeError, NameError):
            view.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        del view.__wrapped__
        return view

    return decorate if source is None else decorate(source)


def _stray_stream() -> RuncastError:
    """Return the error of a `stream` that has no request to answer."""
    return UsageError(
        "expected stream() in a view, while a request is answered, or as a decorator of a function: "
        "to run something without a viewer, use start()"
    )


def command_line(store: Store, arguments: Iterable[str]) -> NoReturn:
    """Become the command line, `runcast`, with the application's store."""
    environment = os.environ | {"RUNCAST_STORE": store.path}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "runcast", *arguments], environment)


def is_foreign(request: Request) -> bool:
    """Return whether a page of another site made a browser send this."""
    if site := request.header("sec-fetch-site"):  # from a browser, and no proxy rewrites it
        return site not in ("same-origin", "none")
    origin = request.header("origin")
    if origin is None:
        return False
    try:
        host = urlsplit(origin).netloc
    except ValueError:  # no browser's, so nobody knows whose
        return True
    return host not in (request.header("host"), request.header("x-forwarded-host"))
