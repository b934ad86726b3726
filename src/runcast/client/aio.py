"""A server's runs, awaited: the client that tasks share, and its runs.

The source of sync.py, its blocking twin, which `scripts/twins.py` writes. The verbs that all kinds
of run have are in `runcast.run.verbs_aio`; here are those of a run on a server only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from runcast.client.actions import Action, Routine, Steps
from runcast.client.base import PATIENCE, ShareLink
from runcast.client.remote import RemoteSteps
from runcast.client.server_runs import ClientBase
from runcast.client.transport_aio import AsyncTransport
from runcast.model import Chunk
from runcast.run.steps import Result, Value
from runcast.run.verbs_aio import AsyncVerbs

if TYPE_CHECKING:
    from runcast.options.typed import ServerOptions
    from runcast.run.arguments import Channels, Place
    from runcast.sources.command import Command
    from runcast.sysio.uploads import FileLike

__all__ = ["AsyncClient", "AsyncRemoteRun"]


class AsyncRemoteRun(RemoteSteps, AsyncVerbs[Action]):
    """A run on a server. Waiting suspends the calling task."""

    def __init__(
        self,
        transport: AsyncTransport,
        facts: dict[str, Any],
        *,
        patience: float = PATIENCE,
        check: bool = False,
    ) -> None:
        super().__init__(transport.server, facts, patience=patience, check=check)
        self._transport = transport

    def _drive(self, steps: Steps[Value]) -> AsyncIterator[Value]:
        return self._transport.drive(steps)

    async def _perform(self, routine: Routine[Result]) -> Result:
        return await self._transport.perform(routine)

    async def refresh(self) -> None:
        """Fetch the state of the run from the server, for the attributes.

        Raises:
            RunNotFound: the run was removed.
        """
        await self._perform(self._refresh_steps())

    def so_far(self, *, channel: Channels = None, **place: Unpack[Place]) -> AsyncIterator[Chunk]:
        """Yield the chunks that there are now, from the beginning or another place; see `follow`."""
        return self._drive(self._so_far_steps(channel, place))

    async def share(self, *, expires: float | str = "7d") -> ShareLink:
        """Return a link by which anybody may read this run, and do nothing else.

        It ends with its time, with the run, and with the secret of the server.

        Args:
            expires: in how many seconds, or as in `"12h"`, `"7d"`; from a minute to 365 days.

        Raises:
            AccessRefused: the server makes no such links, or not for its client.
            UsageError: `expires` is no such time.
        """
        return await self._perform(self._share_steps(expires))

    async def wait_started(self, *, timeout: float | None = None) -> bool:
        """Wait until the command runs, or could not be started; return whether `pid` is known.

        Args:
            timeout: seconds to wait at most.
        """
        await self._perform(self._started_steps(timeout))
        return self.pid is not None


class AsyncClient(ClientBase[AsyncRemoteRun]):
    """A server's runs. All tasks of an event loop may share it; use it in an `async with`, or close it.

    Args:
        url: the server's address, as `runcast serve` prints it; `$RUNCAST_SERVER` if None.
        token: goes before the one in the address; `$RUNCAST_TOKEN` if there is neither.
        patience: seconds without a byte from the server after which following and waiting give up.

    Raises:
        UsageError: it is no address.
        RuncastError: httpx2 is not installed.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE
    ) -> None:
        super().__init__(url, token, patience=patience)
        self._transport = AsyncTransport(self._server)

    def _run(self, facts: dict[str, Any], *, check: bool = False) -> AsyncRemoteRun:
        return AsyncRemoteRun(self._transport, facts, patience=self._patience, check=check)

    async def start(
        self,
        command: Command | None = None,
        *,
        name: str | None = None,
        params: Mapping[str, str | int | bool | FileLike] | None = None,
        input: bytes | str | None = None,
        check: bool = False,
        **options: Unpack[ServerOptions],
    ) -> AsyncRemoteRun:
        """Start a command on the server, where it allows any, or one of the commands that it names.

        Args:
            command: a list of arguments, or a string that is split as a shell splits words.
            name: without a command, that of the server's own; else what people call the run.
            params: values of the parameters of the server's own command; of a file an open file, a Path or
                bytes, which are sent as they are read.
            input: what the command reads from its stdin, whole.
            check: have `wait` and `output` raise `RunFailed` unless the outcome is ok.
            options: as of `Store.start`, for a command; paths and variables are the server's. Of these a
                command of the server's own takes `key` alone, with which a start may be repeated: there is
                one run of it.

        Raises:
            AccessRefused: the server does not start this.
            RunExists: the key names another run, or one that this client may not read.
            CommandRefused, UsageError: see `Store.start`; or it has no command of this name.
        """
        return await self._transport.perform(self._start_steps(command, name, params, input, check, options))

    async def get(self, run_id: str) -> AsyncRemoteRun:
        """Return the run with this id, or whose id begins or ends so and no other's does.

        Raises:
            RunNotFound: there is none, or more than one.
        """
        return await self._transport.perform(self._get_steps(run_id))

    def list(self, limit: int | None = None, *, key: str | None = None) -> AsyncIterator[AsyncRemoteRun]:
        """Yield the runs, newest first; with `key` only those of that key."""
        return self._transport.drive(self._list_steps(limit, key))

    async def remove(self, run: AsyncRemoteRun | str, *, force: bool = False) -> None:
        """Remove a finished run and its log, or a closed stream.

        Args:
            run: which, or its id.
            force: a stream that is open as well.

        Raises:
            RunNotFound: there is no such run.
            RunActive: it still goes on.
        """
        await self._transport.perform(self._remove_steps(run, force))

    async def commands(self) -> dict[str, Any]:
        """Return what may be started: `commands`, each with its name, and `any`."""
        return await self._transport.perform(self._commands_steps())

    async def close(self) -> None:
        """Close the connections. The runs go on."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()
