"""Checks of the way to a server: what a proxy does to each form of output, and the line that cures it.

Each is a function of facts. What ends the work is a problem; what costs time or traffic alone is a hint.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from runcast.doctor.facts import Finding, hint, ok, problem
from runcast.doctor.proxied_facts import Passage, Reading
from runcast.known_proxies import NGINX, Proxy

__all__ = ["passage_findings"]

_LATE_SECONDS = 1.0
_LEFT_SECONDS = 5.0
_HEAD_SHARE = 0.8  # of the silence: a head that comes later came with the first line
_OWN_SERVER = "use the server's own token, or one that may: runcast token add NAME --may '*'"


def passage_findings(facts: Passage) -> list[Finding]:
    """Return what each check finds; a server that cannot be used has one line."""
    if facts.fault:
        return [problem("server", facts.fault, facts.advice)]
    if facts.is_adapter:
        return [server(facts), host(facts), _of_adapter()]
    found = [server(facts), host(facts), prefix(facts)]
    if facts.secure is not None:
        found.append(cookie(facts))
    if facts.start_fault:
        advice = _OWN_SERVER
        found.append(hint("forms", f"nothing could be read: {facts.start_fault}", advice))
    skew = min((came - wrote for one in facts.readings for wrote, came in one.lines.values()), default=0.0)
    found += [form(facts, one, skew) for one in facts.readings]
    found += [check(facts) for check in (push, uploads, left)]
    return found


def _of_adapter() -> Finding:
    return hint(
        "forms",
        "nothing could be read: this is no `runcast serve`, and an application with an adapter does not have "
        "the run that is read",
        "put a `runcast serve` in its place behind the proxy for a moment",
    )


def server(facts: Passage) -> Finding:
    """Which proxy it is, as far as it shows itself."""
    if facts.proxy is not None:
        return ok("server", f"{facts.url} answers, behind {facts.proxy.name} ({facts.shown})")
    return ok("server", f"{facts.url} answers, and no proxy shows itself")


def host(facts: Passage) -> Finding:
    """Whether pages may change something: their Origin and the Host that arrives must agree."""
    if facts.host_fault:
        return problem("host", facts.host_fault, _cure(facts, lambda one: one.host))
    return ok("host", "the Host arrives as it was sent")


def prefix(facts: Passage) -> Finding:
    """Whether links have the path of the address in front."""
    if facts.said_prefix is None:
        return hint("prefix", "not known: this token may not list runs", _OWN_SERVER)
    if facts.said_prefix == facts.prefix:
        return ok("prefix", f"links are below {facts.prefix or '/'}")
    wanted = facts.prefix or "the root"
    return problem(
        "prefix",
        f"links lead to {facts.said_prefix or 'the root'} and not below {wanted}",
        f"runcast serve --root-path {facts.prefix or '/'}, or X-Forwarded-Prefix of a --trusted-proxy",
    )


def cookie(facts: Passage) -> Finding:
    """Whether the cookie of a browser that comes by TLS is for TLS only."""
    if facts.secure:
        return ok("cookie", "it is for TLS only")
    return hint(
        "cookie",
        "it is for plain HTTP, too, since the server does not know of TLS",
        "have the proxy send X-Forwarded-Proto: https, and name it by --trusted-proxy if it is elsewhere",
    )


def form(facts: Passage, one: Reading, skew: float = 0.0) -> Finding:
    """Whether one form comes live and whole.

    Args:
        facts: of the passage.
        one: what was read.
        skew: our clock less the server's, with the least time that anything took.
    """
    name = one.form
    if one.status == 426:
        return problem(name, "its Upgrade is dropped on the way", _cure(facts, lambda proxy: proxy.upgrade))
    if one.status == 403:
        return hint(name, "not known: this token may not read that run", _OWN_SERVER)
    if one.fault:
        return problem(name, one.fault, "try the same without the proxy")
    if len(one.lines) < facts.count:
        return _cut(facts, one)
    late = [came - wrote - skew for wrote, came in one.lines.values()]
    last_written = max(wrote for wrote, _ in one.lines.values())
    first_came = min(came for _, came in one.lines.values())
    if facts.count > 1 and first_came - skew >= last_written:
        packed = f", as {one.encoding}" if one.encoding else ""
        return problem(name, f"all lines came at the end{packed}", _cure(facts, _of_held(one)))
    said = f"{len(late)} lines, the slowest {max(late):.2f} s late" + (", chunked" if one.chunked else "")
    if one.encoding:
        what = f"{said}, and {one.encoding} in spite of no-transform: some collect before they compress"
        return hint(name, what, _cure(facts, lambda proxy: proxy.compression))
    if max(late) >= _LATE_SECONDS:
        return hint(name, said, _cure(facts, lambda proxy: proxy.buffering))
    if one.head is not None and one.head >= facts.silent * _HEAD_SHARE:
        return ok(name, f"{said}; the head came with the first of them, and not before")
    return ok(name, said)


def _of_held(one: Reading) -> Callable[[Proxy], str]:
    """Return the line for what came at its end: in most proxies compression alone holds none back."""

    def lines(proxy: Proxy) -> str:
        both = [proxy.buffering, proxy.compression if one.encoding else ""]
        return " ".join(dict.fromkeys(filter(None, both)))

    return lines


def _cut(facts: Passage, one: Reading) -> Finding:
    if one.lines:
        return problem(
            one.form, f"cut: {len(one.lines)} of {facts.count} lines came", "try it without the proxy"
        )
    advice = _cure(facts, lambda proxy: proxy.idle)
    text = f"cut after {one.ended:.0f} s of silence"
    if one.form == "text":
        return problem(one.form, f"{text}, and text cannot go on by itself", advice)
    return hint(one.form, f"{text}; its clients come back, and go on where they were", advice)


def push(facts: Passage) -> Finding:
    """Whether what is sent in chunks arrives."""
    if facts.push_fault is None:
        return hint("push", "not known: this token may not create and append to streams", _OWN_SERVER)
    if facts.push_fault:
        return problem(
            "push", facts.push_fault, "send with a Content-Length, or let the proxy pass chunks on"
        )
    return ok("push", "a stream takes what is sent in chunks")


def uploads(facts: Passage) -> Finding:
    """Whether the refusal of a long upload comes before its end. It counts when whole: no harm is done."""
    if facts.upload_early is None:
        return ok("upload", "not known when a long one that is refused is answered")
    if facts.upload_early:
        return ok("upload", "a long one that is refused is answered at once")
    line = (facts.proxy or NGINX).uploads
    more = f"; {(facts.proxy or NGINX).name}: {line}" if line else ""
    return ok("upload", f"a long one that is refused is answered at its end, which loses nothing{more}")


def left(facts: Passage) -> Finding:
    """Whether the server notices that a viewer of a silent run has left."""
    if facts.left is None:
        return hint(
            "viewer", "not known when one who left is noticed: this token has no metrics", _OWN_SERVER
        )
    if facts.left < _LEFT_SECONDS:
        return ok("viewer", f"one who left a silent run was noticed after {facts.left:.1f} s")
    shown = f"{facts.left:.0f} s" if not math.isinf(facts.left) else f"{_LEFT_SECONDS:.0f} s and more"
    return hint(
        "viewer",
        f"one who left a silent run counts for {shown}, and what stops without viewers stops later",
        _cure(facts, lambda proxy: proxy.left, "events and NDJSON are noticed when a keep-alive is sent"),
    )


def _cure(facts: Passage, line: Callable[[Proxy], str], otherwise: str = "see the proxy's own manual") -> str:
    if facts.proxy is not None:
        return f"{facts.proxy.name}: {line(facts.proxy)}" if line(facts.proxy) else otherwise
    return f"nginx, if it is that: {line(NGINX)}" if line(NGINX) else otherwise
