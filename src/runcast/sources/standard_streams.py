"""The standard streams while runs are active: the same objects, with methods that dispatch by run.

The streams of CPython, pytest and Jupyter accept attributes, so the methods are set on the object
itself, and removed again; outside a run they call the object's own. Where an object refuses
attributes, or is None (`pythonw`, a daemon), a stand-in takes its place meanwhile.

Text printed outside a run is buffered in a text stream and passed to `buffer.write` later. Code inside
a run must not trigger that: there `flush` flushes the run, and methods that would flush the stream
(`seek`, `tell`, `detach`) are refused, as by a pipe. Must not know where the streams are found
(redirects.py).
"""

from __future__ import annotations

import codecs
import io
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from runcast.model import Channel
from runcast.sources.run_context import Sink, current

__all__ = ["is_patched", "patched", "restore"]

_Method = Callable[..., Any]
_Get = Callable[[], Sink | None]
_Wrap = Callable[[_Method, _Get, Channel], _Method]


class _StandIn(io.TextIOBase):
    """Takes the place of a stream that is None or refuses attributes; delegates to that stream."""

    def __init__(self, name: str, stream: Any) -> None:
        self._name, self.stream = name, stream

    def write(self, text: str, /) -> int:
        """Write to the stream, if there is one."""
        return len(text) if self.stream is None else self.stream.write(text)

    def flush(self) -> None:
        """Flush the stream, if there is one."""
        if self.stream is not None:
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["stream"], name)


_patched: dict[int, Callable[[], Any]] = {}  # by id, as weak references: must not keep streams alive
_stand_ins: dict[str, _StandIn] = {}  # those in `sys`, by name
# Kept for a while: the built-in `print` borrows its stream, and another thread may be inside a call of it.
_kept: deque[_StandIn] = deque(maxlen=64)


def patched(name: str, channel: Channel, stream: Any, *, shared: bool) -> Any:
    """Make a stream dispatch by run; return the object for its place in `sys`: mostly the stream itself.

    Args:
        name: its name in `sys`.
        channel: the channel of prints to it.
        stream: may be None.
        shared: whether it is the stream of the other channel as well, as where a framework puts
            one object in place of both: then this one needs a stand-in.
    """
    if not shared:
        if is_patched(stream):
            return stream
        if stream is not None and _patch(stream, _TEXT, channel):
            _patch_buffer(stream, channel)
            return stream
        if name.startswith("__"):  # nothing is printed there unless it is `sys.stdout` too
            return stream
    stand_in = _stand_in(name, stream)
    _patch(stand_in, _TEXT, channel)
    if not shared:
        _patch_buffer(stand_in, channel)
    return stand_in


def _stand_in(name: str, stream: Any) -> _StandIn:
    for stand_in in list(_kept):
        if stand_in._name == name and stand_in.stream is stream:
            break
    else:
        stand_in = _StandIn(name, stream)
        _kept.append(stand_in)
    _stand_ins[name] = stand_in
    return stand_in


def _patch_buffer(stream: Any, channel: Channel) -> None:
    try:
        buffer = stream.buffer
    except Exception:  # there is none, or it was detached
        return
    if buffer is not None and not is_patched(buffer):
        _patch(buffer, _BYTES, channel)


def restore(places: dict[str, Any]) -> None:
    """Restore the methods of all streams, and put back those that have a stand-in."""
    while _patched:
        _, weak = _patched.popitem()
        stream = weak()
        if stream is not None:
            _restore(stream)
    for name in list(_stand_ins):
        place = places.get(name)
        if isinstance(place, _StandIn):
            places[name] = place.stream
    _stand_ins.clear()


def is_patched(stream: Any) -> bool:
    """Whether a stream dispatches by run: it is one of the process's, or was while runs were active."""
    weak = _patched.get(id(stream))
    return weak is not None and weak() is stream


def _restore(stream: Any) -> None:
    for name, value in list(vars(stream).items()):
        if getattr(value, "__module__", None) == __name__ and hasattr(value, "own"):
            if value.own is None:
                delattr(stream, name)
            else:
                setattr(stream, name, value.own)


def _patch(stream: Any, wraps: dict[str, _Wrap], channel: Channel) -> bool:
    """Set methods on an object; return False, without any effect, where it refuses attributes."""
    try:
        before = dict(vars(stream))
    except TypeError:
        return False
    for name, wrap in wraps.items():
        own = getattr(stream, name, None)
        if name == "fileno" and own is None:  # inside a run every stream has one
            own = _lacking(stream, name)
        if not callable(own):
            continue
        ours = wrap(own, current.get, channel)
        ours.own = before.get(name)  # type: ignore[attr-defined]
        try:
            setattr(stream, name, ours)
        except (AttributeError, TypeError):
            _restore(stream)
            return False
    try:
        _patched[id(stream)] = weakref.ref(stream)
    except TypeError:
        _patched[id(stream)] = lambda: stream
    return True


def _lacking(stream: Any, name: str) -> _Method:
    kind = type(stream).__name__

    def lacking() -> Any:
        raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    return lacking


def _write_text(own: _Method, get: _Get, channel: Channel) -> _Method:
    """Return `write`, which each print outside a run pays for twice: its text and its end.

    What it uses are globals of its own, in place of a closure: CPython finds these without copying cells
    into each frame, which is half of what a call costs here (3.11; less in 3.12 and 3.13).
    """

    return FunctionType(_write.__code__, {"__name__": __name__, "get": get, "own": own, "channel": channel})


def _write(text: str, /) -> Any:
    if get() is None:  # type: ignore[name-defined]  # noqa: F821  # see above
        return own(text)  # type: ignore[name-defined]  # noqa: F821
    if not isinstance(text, str):
        raise TypeError(f"write() argument must be str, not {type(text).__name__}")
    return len(text) if get().write(channel, text) else own(text)  # type: ignore[name-defined]  # noqa: F821


def _write_bytes(own: _Method, get: _Get, channel: Channel) -> _Method:
    def write(data: Any, /) -> Any:
        sink = get()
        if sink is None:
            return own(data)
        copy = bytes(memoryview(data))  # the caller may change it once this returns
        return len(copy) if sink.write(channel, copy) else own(data)

    return write


def _writelines(own: _Method, get: _Get, channel: Channel) -> _Method:
    def writelines(lines: Iterable[Any], /) -> Any:
        sink = get()
        if sink is None:
            return own(lines)
        for line in lines:
            if not sink.write(channel, line):
                own([line])

    return writelines


def _flush(own: _Method, get: _Get, channel: Channel) -> _Method:
    def flush() -> Any:
        sink = get()
        return own() if sink is None else sink.flush()

    return flush


def _fileno(own: _Method, get: _Get, channel: Channel) -> _Method:
    def fileno() -> Any:
        sink = get()
        return own() if sink is None or _closed(sink) else sink.fileno(channel)

    return fileno


def _close(own: _Method, get: _Get, channel: Channel) -> _Method:
    def close() -> Any:
        sink = get()
        return own() if sink is None else sink.flush()

    return close


def _no(own: _Method, get: _Get, channel: Channel) -> _Method:
    def no() -> Any:
        return own() if get() is None else False

    return no


def _reconfigure(own: _Method, get: _Get, channel: Channel) -> _Method:
    def reconfigure(
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **buffering: Any,
    ) -> Any:
        sink = get()
        if sink is None:
            given = {"encoding": encoding, "errors": errors, "newline": newline}
            return own(**{name: value for name, value in given.items() if value is not None}, **buffering)
        if codecs.lookup(encoding or "utf-8").name != "utf-8" or newline not in (None, "", "\n"):
            name = "stderr" if channel is Channel.STDERR else "stdout"
            errors = errors or ("strict" if encoding else "surrogateescape")
            setattr(sys, name, _Reconfigured(_RunBytes(sink, channel), encoding or "utf-8", errors, newline))

    return reconfigure


class _RunBytes(io.RawIOBase):
    """The bytes of a run, for text in another encoding or with other line ends."""

    def __init__(self, sink: Sink, channel: Channel) -> None:
        self._sink, self._channel = sink, channel

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Print bytes."""
        copy = bytes(memoryview(data))
        self._sink.write(self._channel, copy)
        return len(copy)

    def fileno(self) -> int:
        """Return the run's descriptor."""
        return self._sink.fileno(self._channel)


class _Reconfigured(io.TextIOWrapper):
    """`sys.stdout` in a run that reconfigured it."""

    def __init__(self, raw: _RunBytes, encoding: str, errors: str, newline: str | None) -> None:
        super().__init__(raw, encoding, errors, newline, write_through=True)  # type: ignore[arg-type]

    def detach(self) -> Any:
        """Raise `UnsupportedOperation`, as the streams do in any run."""
        raise _unsupported()

    def close(self) -> None:
        """Flush, and stay open."""
        self.flush()


def _refused(own: _Method, get: _Get, channel: Channel) -> _Method:
    def refused(*args: Any, **kwargs: Any) -> Any:
        if get() is None:
            return own(*args, **kwargs)
        raise _unsupported()

    return refused


def _unsupported() -> io.UnsupportedOperation:
    return io.UnsupportedOperation("expected something that a pipe can do: what a run prints goes to one")


def _closed(sink: Sink) -> bool:
    return getattr(sink, "closed", False) is True


_COMMON: dict[str, _Wrap] = {
    "writelines": _writelines,
    "flush": _flush,
    "fileno": _fileno,
    "isatty": _no,
    "seekable": _no,
    "close": _close,
    "seek": _refused,
    "tell": _refused,
    "truncate": _refused,
    "detach": _refused,
}
_TEXT: dict[str, _Wrap] = {"write": _write_text, "reconfigure": _reconfigure, **_COMMON}
_BYTES: dict[str, _Wrap] = {"write": _write_bytes, **_COMMON}
