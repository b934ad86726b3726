"""The client that is awaited: a task waits in each act. Same names, `Async` before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from signal import SIGKILL, SIGTERM
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from runcast.client.acts import Act, Answer, Asking, Call, Cut, More, Open, Rest, Steps
from runcast.client.base import PATIENCE, RemoteRunBase
from runcast.client.http import answer, cut, options, request, unreachable
from runcast.client.server import Server
from runcast.client.server_runs import ClientBase, StartOptions
from runcast.errors import RunFinished
from runcast.model import Chunk, Outcome
from runcast.readers.text import text_of

if TYPE_CHECKING:
    import httpx2

    from runcast.run_base import Channels, Place
    from runcast.sources.command import Command

__all__ = ["AsyncClient", "AsyncRemoteRun"]

Value = TypeVar("Value")
Result = TypeVar("Result")


class _Doing:
    """Does the acts of one generator of steps."""

    def __init__(self, http: httpx2.AsyncClient, server: Server, opened: set[_Doing]) -> None:
        self._http, self._server = http, server
        self._opened = opened  # those that have something open, this one among them
        self._reply: httpx2.Response | None = None
        self._data: AsyncIterator[bytes] | None = None

    async def aclose(self) -> None:
        """Close what is open."""
        self._opened.discard(self)
        if self._reply is not None:
            reply, self._reply = self._reply, None
            await reply.aclose()

    async def do(self, act: Act) -> Answer | bytes | None:
        """Do one act and return its result."""
        match act:
            case Call():
                reply = await self._http.send(request(self._http, self._server, act))
                return answer(reply, reply.content)
            case Open():
                await self.aclose()
                self._reply = await self._http.send(request(self._http, self._server, act), stream=True)
                self._opened.add(self)
                if self._reply.status_code != 200:
                    return answer(self._reply, await self._reply.aread())
                self._data = self._reply.aiter_raw()
                return answer(self._reply)
            case More():
                assert self._data is not None, "opened before"
                return await anext(self._data, b"")
            case Rest():
                await self.aclose()
                await asyncio.sleep(act.seconds)
                return None


class _Network:
    """Connections to one server, which all tasks of a loop share."""

    def __init__(self, server: Server) -> None:
        import httpx2

        self.server = server
        self.http = httpx2.AsyncClient(**options(server))
        self._open: set[_Doing] = set()

    async def aclose(self) -> None:
        """Close all connections, those of followers that were abandoned too: a loop's end cannot."""
        for doing in tuple(self._open):
            await doing.aclose()
        await self.http.aclose()

    async def drive(self, steps: Steps[Value]) -> AsyncIterator[Value]:
        """Yield what the steps give, suspending this task wherever they act."""
        result: Answer | bytes | None = None
        failed: Cut | None = None
        with closing(steps):
            async with aclosing(_Doing(self.http, self.server, self._open)) as doing:
                while True:
                    try:
                        act = steps.send(result) if failed is None else steps.throw(failed)
                    except StopIteration:
                        return
                    except Cut as error:
                        raise unreachable(self.server, error) from None
                    result = failed = None
                    if not isinstance(act, Act):
                        yield act
                        continue
                    try:
                        result = await doing.do(act)
                    except Exception as error:
                        failed = cut(error)

    async def ask(self, asking: Asking[Result]) -> Result:
        """Return what the steps return, suspending this task wherever they act."""
        returned: list[Result] = []

        def steps() -> Steps[None]:
            returned.append((yield from asking))

        async for _ in self.drive(steps()):
            pass
        return returned[0]


class AsyncRemoteRun(RemoteRunBase):
    """A run on a server. Waiting suspends the calling task."""

    def __init__(
        self, network: _Network, told: dict[str, Any], *, patience: float = PATIENCE, check: bool = False
    ) -> None:
        super().__init__(network.server, told, patience=patience, check=check)
        self._network = network

    async def refresh(self) -> None:
        """Ask the server how the run stands: the attributes tell what it said last."""
        await self._network.ask(self._refresh_asking())

    def follow(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> AsyncIterator[Chunk | None]:
        """Yield chunks as they come, from the beginning or another place, until the log is closed."""
        return self._network.drive(self._chunk_steps(timeout, channel, place))

    def lines(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> AsyncIterator[str | None]:
        """Yield lines as they come, without their LF or CRLF; see `follow` for where to begin."""
        return self._network.drive(self._line_steps(timeout, channel, place))

    def so_far(self, *, channel: Channels = None, **place: Unpack[Place]) -> AsyncIterator[Chunk]:
        """Yield the chunks that there are now, from the beginning or another place; see `follow`."""
        return self._network.drive(self._so_far_steps(channel, place))

    @overload
    async def output(
        self,
        *,
        channel: Channels = None,
        encoding: str = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str: ...

    @overload
    async def output(
        self,
        *,
        channel: Channels = None,
        encoding: None,
        timeout: float | None = None,
        check: bool | None = None,
    ) -> bytes: ...

    async def output(
        self,
        *,
        channel: Channels = None,
        encoding: str | None = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str | bytes:
        """Wait for the end and return all output, stdout and stderr as they came, or one `channel`."""
        await self.wait(timeout=timeout, check=check)
        chunks = [chunk async for chunk in self.follow(channel=channel) if chunk]
        return b"".join([one.data for one in chunks]) if encoding is None else text_of(chunks, encoding)

    async def wait(self, *, timeout: float | None = None, check: bool | None = None) -> Outcome:
        """Wait for the end and return the outcome."""
        return self._judge(await self._network.ask(self._wait_asking(timeout)), timeout, check)

    async def wait_started(self, *, timeout: float | None = None) -> bool:
        """Wait until the command runs, or could not be started; return whether `pid` is known."""
        await self._network.ask(self._started_asking(timeout))
        return self.pid is not None

    async def stop(self, *, grace: float = 5.0, signal: int = SIGTERM) -> None:
        """Ask the run to end; kill all of it if it has not within `grace` seconds. Does not wait."""
        await self._network.ask(self._stop_asking(grace, signal))

    async def kill(self) -> None:
        """Kill the run and everything it started, at once. Does not wait. Raises what `stop` does."""
        await self._network.ask(self._stop_asking(0, SIGKILL))

    async def signal(self, number: int) -> None:
        """Send a signal to the run's process group. Raises what `stop` does."""
        await self._network.ask(self._signal_asking(number))

    async def send(self, data: bytes | str, *, eof: bool = False) -> None:
        """Write to the run's stdin (`start(stdin="pipe")`); returns when the program has taken it."""
        await self._network.ask(self._send_asking(data, eof))

    async def __aenter__(self) -> AsyncRemoteRun:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """Wait for the end; stop the run first if the block was left by an error."""
        if kind is not None:
            try:
                await self.stop()
            except RunFinished:
                return False
        if kind is None:
            await self.wait()
        else:
            await self.wait(check=False)
        return False


class AsyncClient(ClientBase[AsyncRemoteRun]):
    """A server's runs. The tasks of one event loop may share it; use it in an `async with`, or close it."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE
    ) -> None:
        super().__init__(url, token, patience=patience)
        self._network = _Network(self._server)

    def _run(self, told: dict[str, Any], *, check: bool = False) -> AsyncRemoteRun:
        return AsyncRemoteRun(self._network, told, patience=self._patience, check=check)

    async def start(
        self,
        command: Command | None = None,
        *,
        name: str | None = None,
        input: bytes | str | None = None,
        check: bool = False,
        **options: Unpack[StartOptions],
    ) -> AsyncRemoteRun:
        """Start a command on the server, where it allows any, or one of the commands that it names."""
        return await self._network.ask(self._start_asking(command, name, input, check, options))

    async def get(self, run_id: str) -> AsyncRemoteRun:
        """Return the run with this id, or whose id begins or ends so and no other's does."""
        return await self._network.ask(self._get_asking(run_id))

    def list(self, limit: int | None = None) -> AsyncIterator[AsyncRemoteRun]:
        """Yield the runs, newest first."""
        return self._network.drive(self._list_steps(limit))

    async def remove(self, run: AsyncRemoteRun | str, *, force: bool = False) -> None:
        """Remove a finished run and its log, or a closed stream."""
        await self._network.ask(self._remove_asking(run, force))

    async def commands(self) -> dict[str, Any]:
        """Return what may be started: `commands`, each with its name, and `any`."""
        return await self._network.ask(self._commands_asking())

    async def close(self) -> None:
        """Close the connections. The runs go on."""
        await self._network.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()
