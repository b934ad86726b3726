"""The standard streams while runs are active: the same objects, with methods that ask whose code prints.

CPython's streams, pytest's and Jupyter's take attributes of their own, so the methods are set on
the very object, and taken off again; outside a run they call the object's own. Where an object
refuses attributes, or is None (`pythonw`, a daemon), another stands in for it meanwhile.

Text that was printed outside waits in a text stream and is handed to `buffer.write` later, so
nothing inside a run may have the stream do that: there `flush` means the run's, and what would
flush on the way (`seek`, `tell`, `detach`) is refused as a pipe refuses it.
"""

from __future__ import annotations

import io
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from runcast.model import Channel
from runcast.sources.follow import Sink, current

__all__ = ["patch", "restore"]

_Method = Callable[..., Any]
_Get = Callable[[], Sink | None]
_Wrap = Callable[[_Method, _Get, Channel], _Method]


class _StandIn(io.TextIOBase):
    """Stands where a stream is None or takes no attributes; all that it is asked, it asks the stream."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str, /) -> int:
        """Write to the stream, if there is one."""
        return len(text) if self.stream is None else self.stream.write(text)

    def flush(self) -> None:
        """Flush the stream, if there is one."""
        if self.stream is not None:
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["stream"], name)


_patched: dict[int, Callable[[], Any]] = {}  # by id, weakly: nobody's stream lives on because of us
_stand_ins: list[tuple[str, _StandIn]] = []


def patch(name: str, channel: Channel, others: Sequence[Sink]) -> None:
    """Have the stream that is `sys.<name>` now ask whose code prints.

    Args:
        name: where it is.
        channel: what printing there means.
        others: the sinks of the runs that are active already. A stream that came meanwhile is
            one of theirs, made by `redirect_stdout` say, and stays theirs.
    """
    stream = getattr(sys, name, None)
    if _is_patched(stream):
        return
    get = _getter(others)
    if stream is None or not _patch(stream, _TEXT, get, channel):
        if name.startswith("__"):  # nobody prints there unless it is `sys.stdout` too
            return
        stream = _StandIn(stream)
        setattr(sys, name, stream)
        _stand_ins.append((name, stream))
        _patch(stream, _TEXT, get, channel)
    try:
        buffer = stream.buffer
    except Exception:  # there is none, or it was detached
        return
    if buffer is not None and not _is_patched(buffer):
        _patch(buffer, _BYTES, get, channel)


def restore() -> None:
    """Give all streams their own methods back."""
    while _patched:
        _, weak = _patched.popitem()
        stream = weak()
        if stream is not None:
            _restore(stream)
    while _stand_ins:
        name, stand_in = _stand_ins.pop()
        if getattr(sys, name, None) is stand_in:
            setattr(sys, name, stand_in.stream)


def _is_patched(stream: Any) -> bool:
    weak = _patched.get(id(stream))
    return weak is not None and weak() is stream


def _restore(stream: Any) -> None:
    for name, value in list(vars(stream).items()):
        if getattr(value, "__module__", None) == __name__ and hasattr(value, "own"):
            if value.own is None:
                delattr(stream, name)
            else:
                setattr(stream, name, value.own)


def _patch(stream: Any, wraps: dict[str, _Wrap], get: _Get, channel: Channel) -> bool:
    """Set methods on an object; return False, having set none, where it takes no attributes."""
    try:
        before = dict(vars(stream))
    except TypeError:
        return False
    for name, wrap in wraps.items():
        own = getattr(stream, name, None)
        if not callable(own):
            continue
        ours = wrap(own, get, channel)
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


def _getter(others: Sequence[Sink]) -> _Get:
    if not others:
        return current.get

    def get() -> Sink | None:
        sink = current.get()
        return None if any(sink is other for other in others) else sink

    return get


def _write_text(own: _Method, get: _Get, channel: Channel) -> _Method:
    def write(text: str, /) -> Any:
        sink = get()
        if sink is None:
            return own(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        return len(text) if sink.write(channel, text) else own(text)

    return write


def _write_bytes(own: _Method, get: _Get, channel: Channel) -> _Method:
    def write(data: Any, /) -> Any:
        sink = get()
        if sink is None:
            return own(data)
        copy = bytes(memoryview(data))  # whoever writes may change it once this returns
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


def _nothing(own: _Method, get: _Get, channel: Channel) -> _Method:
    def nothing(*args: Any, **kwargs: Any) -> Any:
        return own(*args, **kwargs) if get() is None else None

    return nothing


def _refused(own: _Method, get: _Get, channel: Channel) -> _Method:
    def refused(*args: Any, **kwargs: Any) -> Any:
        if get() is None:
            return own(*args, **kwargs)
        raise io.UnsupportedOperation("expected something that a pipe can do: what a run prints goes to one")

    return refused


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
_TEXT: dict[str, _Wrap] = {"write": _write_text, "reconfigure": _nothing, **_COMMON}
_BYTES: dict[str, _Wrap] = {"write": _write_bytes, **_COMMON}
