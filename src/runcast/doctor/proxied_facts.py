"""What is known of the way to a server, as plain values: how the forms of its output came through a proxy.

Owns the values. Must not touch the network. None stands for what could not be found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runcast.known_proxies import Proxy

__all__ = ["Passage", "Reading"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One form of a run that is silent, and then writes numbered lines: what came of it, and when.

    Attributes:
        form: what it is called, such as `text`.
        status: of the reply; 0 where none came.
        fault: why there was no reply of that form, one sentence; empty where there was.
        head: seconds from the request to the head of the reply; None for a form of many replies.
        lines: by number: when each was written, by the server's clock, and when it came, by ours.
        encoding: `Content-Encoding` of the reply; empty for none.
        chunked: whether the reply came in chunks, as one without an end must in HTTP/1.1.
        ended: seconds from the request to the end of the reply.
    """

    form: str
    status: int = 200
    fault: str = ""
    head: float | None = None
    lines: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    encoding: str = ""
    chunked: bool = False
    ended: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Passage:
    """All that the checks look at.

    Attributes:
        url: of the server, without a token.
        proxy: that stands before it, as far as it shows itself.
        shown: by what it does; empty for nothing.
        fault: why the server cannot be used by that address; empty where it can.
        advice: what to do about that.
        host_fault: why pages would be refused, in the server's words; empty where they would not.
        prefix: the path that the address has in front of the server's own; empty for none.
        said_prefix: the one that the server puts before its links.
        secure: whether a browser's cookie is for TLS only.
        is_adapter: it seems to be an application with an adapter, which does not have the run that is read.
        start_fault: why the run that is read could not be started; empty where it was.
        silent: seconds in which that run says nothing.
        count: how many lines it writes then.
        readings: one for each form.
        push_fault: why a stream could not be written to in chunks; empty where it could.
        upload_early: whether an upload that is refused is answered before its end.
        left: seconds after which a viewer who left a silent reply was noticed; infinite where it was not
            while we looked.
    """

    url: str
    proxy: Proxy | None = None
    shown: str = ""
    fault: str = ""
    advice: str = ""
    host_fault: str = ""
    prefix: str = ""
    said_prefix: str | None = None
    secure: bool | None = None
    is_adapter: bool = False
    start_fault: str = ""
    silent: float = 0.0
    count: int = 0
    readings: tuple[Reading, ...] = ()
    push_fault: str | None = None
    upload_early: bool | None = None
    left: float | None = None
