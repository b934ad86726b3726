"""The client that blocks: a thread waits in each act."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
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

__all__ = ["Client", "RemoteRun"]

Value = TypeVar("Value")
Result = TypeVar("Result")


class _Doing:
    """Does the acts of one generator of steps."""

    def __init__(self, http: httpx2.Client, server: Server) -> None:
        self._http, self._server = http, server
        self._reply: httpx2.Response | None = None
        self._data: Iterator[bytes] = iter(())

    def close(self) -> None:
        """Close what is open."""
        if self._reply is not None:
            self._reply.close()
            self._reply = None

    def do(self, act: Act) -> Answer | bytes | None:
        """Do one act and return its result."""
        match act:
            case Call():
                reply = self._http.send(request(self._http, self._server, act))
                return answer(reply, reply.content)
            case Open():
                self.close()
                self._reply = self._http.send(request(self._http, self._server, act), stream=True)
                if self._reply.status_code != 200:
                    return answer(self._reply, self._reply.read())
                self._data = self._reply.iter_raw()
                return answer(self._reply)
            case More():
                return next(self._data, b"")
            case Rest():
                self.close()
                time.sleep(act.seconds)
                return None


class _Network:
    """Connections to one server, which all threads share."""

    def __init__(self, server: Server) -> None:
        import httpx2

        self.server = server
        self.http = httpx2.Client(**options(server))

    def drive(self, steps: Steps[Value]) -> Iterator[Value]:
        """Yield what the steps give, blocking this thread wherever they act."""
        result: Answer | bytes | None = None
        failed: Cut | None = None
        with closing(steps), closing(_Doing(self.http, self.server)) as doing:
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
                    result = doing.do(act)
                except Exception as error:
                    failed = cut(error)

    def ask(self, asking: Asking[Result]) -> Result:
        """Return what the steps return, blocking this thread wherever they act."""
        returned: list[Result] = []

        def steps() -> Steps[None]:
            returned.append((yield from asking))

        for _ in self.drive(steps()):
            pass
        return returned[0]


class RemoteRun(RemoteRunBase):
    """A run on a server. Waiting blocks the calling thread."""

    def __init__(
        self, network: _Network, told: dict[str, Any], *, patience: float = PATIENCE, check: bool = False
    ) -> None:
        super().__init__(network.server, told, patience=patience, check=check)
        self._network = network

    def refresh(self) -> None:
        """Ask the server how the run stands: the attributes tell what it said last.

        Raises:
            RunNotFound: the run was removed.
        """
        self._network.ask(self._refresh_asking())

    def follow(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> Iterator[Chunk | None]:
        """Yield chunks as they come, from the beginning or another place, until the log is closed.

        A connection that is lost is made anew, and goes on behind the last byte that came.

        Args:
            channel: only this channel, or these.
            timeout: yield None whenever nothing came for so many seconds.
            place: where to begin; see `Run.follow`.

        Raises:
            ServerUnreachable: no word of the server for as long as the client's patience.
            OffsetBeyondTail, OffsetGone: `offset` cannot be read.
        """
        return self._network.drive(self._chunk_steps(timeout, channel, place))

    def lines(
        self, *, channel: Channels = None, timeout: float | None = None, **place: Unpack[Place]
    ) -> Iterator[str | None]:
        """Yield lines as they come, without their LF or CRLF; see `follow` for where to begin."""
        return self._network.drive(self._line_steps(timeout, channel, place))

    def so_far(self, *, channel: Channels = None, **place: Unpack[Place]) -> Iterator[Chunk]:
        """Yield the chunks that there are now, from the beginning or another place; see `follow`."""
        return self._network.drive(self._so_far_steps(channel, place))

    @overload
    def output(
        self,
        *,
        channel: Channels = None,
        encoding: str = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str: ...

    @overload
    def output(
        self,
        *,
        channel: Channels = None,
        encoding: None,
        timeout: float | None = None,
        check: bool | None = None,
    ) -> bytes: ...

    def output(
        self,
        *,
        channel: Channels = None,
        encoding: str | None = "utf-8",
        timeout: float | None = None,
        check: bool | None = None,
    ) -> str | bytes:
        """Wait for the end and return all output, stdout and stderr as they came, or one `channel`.

        Args:
            channel: only this channel, or these.
            encoding: None returns bytes; what is invalid is replaced.
            timeout: seconds to wait for the end at most.
            check: raise `RunFailed` unless the outcome is ok; by default what `start` was told.

        Raises:
            WaitTimeout, RunFailed: see `wait`.
        """
        self.wait(timeout=timeout, check=check)
        chunks = self.follow(channel=channel)
        return b"".join(one.data for one in chunks if one) if encoding is None else text_of(chunks, encoding)

    def wait(self, *, timeout: float | None = None, check: bool | None = None) -> Outcome:
        """Wait for the end and return the outcome.

        Args:
            timeout: seconds to wait at most.
            check: raise `RunFailed` unless the outcome is ok; by default what `start` was told.

        Raises:
            WaitTimeout: it did not end in time; the run goes on.
            RunFailed: `check`, and it was not ok.
            ServerUnreachable: see `follow`.
        """
        return self._judge(self._network.ask(self._wait_asking(timeout)), timeout, check)

    def wait_started(self, *, timeout: float | None = None) -> bool:
        """Wait until the command runs, or could not be started; return whether `pid` is known.

        Args:
            timeout: seconds to wait at most.
        """
        self._network.ask(self._started_asking(timeout))
        return self.pid is not None

    def stop(self, *, grace: float = 5.0, signal: int = SIGTERM) -> None:
        """Ask the run to end; kill all of it if it has not within `grace` seconds. Does not wait.

        Raises:
            RunFinished, SupervisorLost: it has ended already; its supervisor does not answer.
            ServerUnreachable: the server cannot be asked.
        """
        self._network.ask(self._stop_asking(grace, signal))

    def kill(self) -> None:
        """Kill the run and everything it started, at once. Does not wait. Raises what `stop` does."""
        self._network.ask(self._stop_asking(0, SIGKILL))

    def signal(self, number: int) -> None:
        """Send a signal to the run's process group. Raises what `stop` does."""
        self._network.ask(self._signal_asking(number))

    def send(self, data: bytes | str, *, eof: bool = False) -> None:
        """Write to the run's stdin (`start(stdin="pipe")`); returns when the program has taken it.

        With `eof`, its input ends behind `data`. Raises what `stop` does, also where it reads no stdin.
        """
        self._network.ask(self._send_asking(data, eof))

    def __enter__(self) -> RemoteRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """Wait for the end; stop the run first if the block was left by an error."""
        if kind is not None:
            try:
                self.stop()
            except RunFinished:
                return False
        if kind is None:
            self.wait()
        else:
            self.wait(check=False)
        return False


class Client(ClientBase[RemoteRun]):
    """A server's runs. Threads may share it; use it in a `with`, or close it.

    Args:
        url: the server's address, as `runcast serve` prints it; `$RUNCAST_SERVER` if None.
        token: goes before the one in the address; `$RUNCAST_TOKEN` if there is neither.
        patience: seconds without a word of the server after which following and waiting give up.

    Raises:
        UsageError: it is no address.
        RuncastError: httpx2 is not installed.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, patience: float = PATIENCE
    ) -> None:
        super().__init__(url, token, patience=patience)
        self._network = _Network(self._server)

    def _run(self, told: dict[str, Any], *, check: bool = False) -> RemoteRun:
        return RemoteRun(self._network, told, patience=self._patience, check=check)

    def start(
        self,
        command: Command | None = None,
        *,
        name: str | None = None,
        input: bytes | str | None = None,
        check: bool = False,
        **options: Unpack[StartOptions],
    ) -> RemoteRun:
        """Start a command on the server, where it allows any, or one of the commands that it names.

        Args:
            command: a list of arguments, or a string that is split as a shell splits words.
            name: without a command, that of the server's own; else what people call the run.
            input: what the command reads from its stdin, whole.
            check: have `wait` and `output` raise `RunFailed` unless the outcome is ok.
            options: as of `Store.start`, for a command; paths and variables are the server's.

        Raises:
            AccessRefused: the server does not start this.
            CommandRefused, UsageError: see `Store.start`; or it has no command of this name.
        """
        return self._network.ask(self._start_asking(command, name, input, check, options))

    def get(self, run_id: str) -> RemoteRun:
        """Return the run with this id, or whose id begins or ends so and no other's does.

        Raises:
            RunNotFound: there is none, or more than one.
        """
        return self._network.ask(self._get_asking(run_id))

    def list(self, limit: int | None = None) -> Iterator[RemoteRun]:
        """Yield the runs, newest first."""
        return self._network.drive(self._list_steps(limit))

    def remove(self, run: RemoteRun | str, *, force: bool = False) -> None:
        """Remove a finished run and its log, or a closed stream.

        Args:
            run: which, or its id.
            force: a stream that is open as well.

        Raises:
            RunNotFound: there is no such run.
            RunActive: it still goes on.
        """
        self._network.ask(self._remove_asking(run, force))

    def commands(self) -> dict[str, Any]:
        """Return what may be started: `commands`, each with its name, and `any`."""
        return self._network.ask(self._commands_asking())

    def close(self) -> None:
        """Close the connections. The runs go on."""
        self._network.http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()
