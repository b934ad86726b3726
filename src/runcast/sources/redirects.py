"""Redirects of `sys.stdout` and `sys.stderr`: an assignment inside a run affects that run only.

`sys.stdout = x`, which is all that `contextlib.redirect_stdout` does, would redirect the output of every
run, and of the server. So while a run is active, the module `sys` has a class whose `__setattr__`
checks the caller: code of a run redirects its run, other code the process, as usual. Reading is not
affected until a run has a redirect of its own. Then the names are properties, and the module's
dictionary, which the built-in `print` reads, has a dispatcher. Must not know what is patched on the
streams (standard_streams.py), nor which code belongs to a run (run_context.py).
"""

from __future__ import annotations

import contextlib
import sys
import threading
import weakref
from contextvars import Context
from functools import cache
from typing import Any

from runcast.model import Channel
from runcast.sources import standard_streams
from runcast.sources.run_context import Sink, current, is_guest

__all__ = ["begin", "clear", "end", "flush", "forget", "lock"]

_CHANNELS = {
    "stdout": Channel.STDOUT,
    "stderr": Channel.STDERR,
    "__stdout__": Channel.STDOUT,
    "__stderr__": Channel.STDERR,
}
_OWN = ("stdout", "stderr")  # the names that a run can redirect for itself

lock = threading.RLock()  # protects all changes here
_active: dict[int, list[Sink]] = {}  # by id: a sink may begin more than once
_redirects: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
_places = vars(sys)
_hosts: dict[str, Any] = {}  # the streams of other code, while the module's dictionary has a dispatcher
_before: list[type] = []  # the original class of `sys`
_DELETED = object()


def begin(sink: Sink) -> None:
    """Make the streams dispatch by run, until `end`."""
    _active.setdefault(id(sink), []).append(sink)
    if not _before:
        _before.append(type(sys))
    for name in _CHANNELS:
        _place(name, _host(name))
    _update()


def end(sink: Sink) -> bool:
    """Undo one `begin`; the last one restores everything, and returns True."""
    sinks = _active.get(id(sink))
    if sinks:
        sinks.pop()
        if not sinks:
            del _active[id(sink)]
    _update()
    return not _active


def clear() -> None:
    """Undo every `begin`."""
    _active.clear()
    _update()


def flush(sink: Sink) -> None:
    """Flush the streams that a run redirected to, which its code may leave open."""
    for stream in list(_redirects.get(sink, {}).values()):
        with contextlib.suppress(Exception):
            stream.flush()


def forget(sink: Sink) -> None:
    """Undo the redirects of a run after its end.

    Dropping a stream may close its parts, as a text stream closes `sys.stdout.buffer`. So it is dropped
    as code of the run, which cannot close the server's streams.
    """
    with lock:
        own = _redirects.get(sink)
        if own is None:
            return
        begin(sink)
    context = Context()
    context.run(current.set, sink)
    context.run(own.clear)
    with lock:
        _redirects.pop(sink, None)
        end(sink)


def _update() -> None:
    """Set the class of `sys` for the active runs: the original, one that checks assignments, or dispatches.

    Other threads run meanwhile: none may get a dispatcher when it reads `sys.stdout`.
    """
    redirected = any(sinks[0] in _redirects for sinks in _active.values())
    if redirected:
        for name in _OWN:
            _hosts.setdefault(name, _places.get(name, _DELETED))
    else:
        for name, stream in _hosts.items():
            _be_found(name, stream)
    if _before:
        base = _before[0] if _active else _before.pop()
        if type(sys) in (base, _assigning(base), _redirecting(base)):  # else other code has set its class
            sys.__class__ = (_redirecting if redirected else _assigning)(base) if _active else base
    if redirected:
        _places.update(_dispatchers)
    else:
        _hosts.clear()
    if not _active:
        standard_streams.restore(_places)


def _be_found(name: str, stream: Any) -> None:
    """Put a stream into the module's dictionary."""
    if stream is _DELETED:
        _places.pop(name, None)
    else:
        _places[name] = stream


@cache  # kept for good, like the dispatchers below: another thread may be in a method of it
def _assigning(base: Any) -> type:
    """Return a class of `sys` that checks assignments."""

    class Assigning(base):  # type: ignore[misc]
        def __setattr__(self, name: str, value: object) -> None:
            if name in _CHANNELS:
                _assign(name, value)
            else:
                super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            if name in _CHANNELS:
                _assign(name, _DELETED)
            else:
                super().__delattr__(name)

    return _named(base, Assigning)


@cache
def _redirecting(base: Any) -> type:
    """Return a class of `sys` that also has the streams of each run as properties."""

    class Redirecting(_assigning(base)):  # type: ignore[misc]
        stdout = property(lambda self: _seen("stdout"))
        stderr = property(lambda self: _seen("stderr"))

    return _named(base, Redirecting)


def _named(base: type, ours: type) -> type:
    """Give a class the name of the one that it replaces."""
    ours.__name__, ours.__qualname__, ours.__module__ = base.__name__, base.__qualname__, base.__module__
    return ours


def _seen(name: str) -> Any:
    """Return the value of `sys.<name>` for the present code."""
    stream = _target(name)
    if stream is _DELETED:
        raise AttributeError(f"module 'sys' has no attribute {name!r}")
    return stream


def _target(name: str) -> Any:
    sink = current.get()
    own = None if sink is None else _redirects.get(sink)
    return own.get(name, _host(name)) if own else _host(name)


def _host(name: str) -> Any:
    stream = _hosts.get(name, _hosts)
    return _places.get(name, _DELETED) if stream is _hosts else stream


def _place(name: str, stream: Any) -> None:
    """Set `sys.<name>` for all code, to a stream that dispatches by run."""
    if stream is not _DELETED:
        shared = name == "stderr" and stream is not None and stream is _host("stdout")
        stream = standard_streams.patched(name, _CHANNELS[name], stream, shared=shared)
    if name in _hosts:
        _hosts[name] = stream
    else:
        _be_found(name, stream)


def _assign(name: str, stream: Any) -> None:
    """Assign to or delete `sys.<name>`, for the run of the present code if there is one."""
    sink = current.get()
    with lock:
        if isinstance(stream, _Dispatcher):  # which the code found in `vars(sys)`
            stream = _host(name)
        if sink is None or id(sink) not in _active or name not in _OWN or _puts_back(sink, name, stream):
            if stream is _DELETED and _host(name) is _DELETED:
                raise AttributeError(name)
            _place(name, stream)
            return
        own = _redirects.setdefault(sink, {})
        before = own.pop(name, None)
        if stream is not _host(name):
            own[name] = stream
        if not own:
            del _redirects[sink]
        _update()
    del before  # see `forget`


def _puts_back(sink: Sink, name: str, stream: Any) -> bool:
    """Whether a thread undoes a redirect for all code that it made before it took work of this run."""
    return is_guest.get() and name not in _redirects.get(sink, {}) and standard_streams.is_patched(stream)


class _Dispatcher:
    """In the place where the built-in `print` looks; dispatches each call by run."""

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str, /) -> Any:
        """Write to the stream of the code that prints."""
        stream = _target(self._name)
        if stream is _DELETED:
            raise RuntimeError(f"lost sys.{self._name}")
        return None if stream is None else stream.write(text)

    def flush(self) -> None:
        """Flush the stream of the code that prints."""
        stream = _target(self._name)
        if stream is not None and stream is not _DELETED:
            stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(_target(self.__dict__["_name"]), name)


# Kept for good: the built-in `print` borrows its stream, which must not be freed while a thread prints.
_dispatchers = {name: _Dispatcher(name) for name in _OWN}
