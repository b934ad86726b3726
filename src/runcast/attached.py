"""Runs for code that others call: a worker's task, a cron script, a block of code.

Owns `attach` and `record`: whatever happens inside is recorded as a run, which any process of the
machine can follow. A run that stands for such a block ends with it, and raises what it raises.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from runcast.errors import RunFailed, RunStopped, UsageError
from runcast.options import OPTIONS, unknown
from runcast.run import Run
from runcast.runs import Store
from runcast.sources import inside_run
from runcast.sources.capture import uninstall
from runcast.sources.recording import Recording
from runcast.sources.returned import as_value
from runcast.starting import Start

if TYPE_CHECKING:
    from runcast.options.typed import BlockOptions, RecordOptions

__all__ = ["attach", "current_run", "progress", "record", "release_prints", "should_stop"]

Function = TypeVar("Function", bound=Callable[..., Any])
progress, should_stop = inside_run.progress, inside_run.should_stop


def current_run() -> Run | None:
    """Return the run that this code belongs to; None outside any."""
    path = inside_run.current_path()
    return None if path is None else Run(path)


def release_prints() -> None:
    """Give `sys.stdout`, threads and executors their own methods back, also while runs go on.

    What those runs print from now on goes where it would without them. The next run that
    captures prints puts everything in place again.
    """
    uninstall()


@contextlib.contextmanager
def attach(name: str, *, store: Store | str | None = None, **options: Unpack[BlockOptions]) -> Iterator[Run]:
    """Record what happens inside a `with` block as a run: its prints, how it ended.

    An exception ends the run as failed, its traceback on stderr, and goes on. `Run.stop` raises
    `RunStopped` inside, at the next print or `progress`, and the block is left without an error.

    Args:
        name: for people.
        store: where the run goes; the default store if left out.
        options: those in `BlockOptions`, as of `Store.start`. `key` names the newest attempt: it is taken
            from a run that has ended or is lost.

    Raises:
        RunExists: the key names a run that goes on; `run_id` is its id.
        UsageError: an option has no meaning here.
        StoreUnusable: the store cannot be written to.
    """
    recording = _begin(name, store, options)
    outcome = None
    try:
        with recording.recording():
            try:
                yield Run(recording.path)
                outcome = recording.outcome(0)
            except BaseException as error:
                outcome = recording.failed(error, raises=True)
                if not isinstance(error, RunStopped):
                    raise
    finally:
        recording.finish(outcome or recording.outcome(None))


@overload
def record(function: Function, /) -> Function: ...


@overload
def record(
    *, name: str | None = None, store: Store | str | None = None, **options: Unpack[RecordOptions]
) -> Callable[[Function], Function]: ...


def record(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    store: Store | str | None = None,
    **options: Unpack[RecordOptions],
) -> Function | Callable[[Function], Function]:
    """Make each call of a function, `async` or not, a run; see `attach` for the options.

    The call happens where it is made and returns what the function returns, which is the
    outcome's value as well. Where the run is stopped the caller gets `RunFailed`. `key` may be a
    function, too: it is called with the arguments of each call, and returns the key of its run.
    """
    if function is None:
        return cast(
            Callable[[Function], Function], functools.partial(record, name=name, store=store, **options)
        )
    if not callable(function):
        raise UsageError(
            f"expected a function to record, got {function!r:.100}: write @record or @record(name=…)"
        )
    called = name or getattr(function, "__qualname__", repr(function)).rpartition("<locals>.")[2]

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def recorded_async(*args: Any, **kwargs: Any) -> Any:
            with _recorded(called, store, _with_key(options, args, kwargs)) as keep:
                return keep(await function(*args, **kwargs))

        return cast(Function, recorded_async)

    @functools.wraps(function)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        with _recorded(called, store, _with_key(options, args, kwargs)) as keep:
            return keep(function(*args, **kwargs))

    return cast(Function, recorded)


def _with_key(options: RecordOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of one call."""
    key = options.get("key")
    return {**options, "key": key(*args, **kwargs)} if callable(key) else options


@contextlib.contextmanager
def _recorded(
    name: str, store: Store | str | None, options: Mapping[str, Any]
) -> Iterator[Callable[[Any], Any]]:
    """Record a block whose value is the outcome's; a stop is an error for the caller."""
    recording = _begin(name, store, options)
    outcome, values = None, []

    def keep(value: Any) -> Any:
        values.append(as_value(value))
        return value

    try:
        with recording.recording():
            try:
                yield keep
                outcome = recording.outcome(0, value=values[0] if values else None)
            except BaseException as error:
                outcome = recording.failed(error, skip=2, raises=True)
                if isinstance(error, RunStopped) and recording.stopping is not None:
                    # The caller does not know of runs: a BaseException would end a worker.
                    raise RunFailed(recording.id, outcome) from None
                raise
    finally:
        recording.finish(outcome or recording.outcome(None))


def _nothing() -> None:
    """Stand for the code of a block, which the caller runs."""


def _begin(name: str, store: Store | str | None, options: Mapping[str, Any]) -> Recording:
    known = [option.name for option in OPTIONS.values() if option.block]
    if wrong := options.keys() - set(known):
        raise unknown(min(wrong), known)
    if not isinstance(name, str) or not name:
        raise UsageError(f'expected a name for the run, got {name!r:.100}: write attach("nightly backup")')
    where = store if isinstance(store, Store) else Store.open(store)
    return where._record(Start(_nothing, (), {**options, "name": name}))
