"""Promises of a link about news, cuts, lists and hosts, one function each."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from runcast.errors import Fenced, Late, LinkDown, NoHost, UsageError
from runcast.ids import new_run_id
from runcast.link import ASKS, LISTED, PUT_BYTES, Ask, Link, Reply
from runcast.link.reply import CallbackFailed
from runcast.testing.link_places import LinkPlace
from runcast.testing.link_steps import (
    LEASE,
    PATIENCE,
    connect,
    create,
    hears,
    put,
    quiet,
    read_all,
    refused,
    same,
    stepped,
    until,
)

__all__ = ["CHECKS"]


def check_news(place: LinkPlace) -> None:
    """What happens before, during or after `watch` is news, and what is not watched is none."""
    one, other = connect(place), connect(place)
    run, silent = create(one), create(one)
    put(one, run, 0, b"before")
    other.watch([run])
    until("what was before", hears(other, run))
    other.watch([silent])
    waiting = one.put(run, 6, 12, b"during", b"")
    one.wait(waiting)
    until("what was during, and the other one", hears(other, run, silent))
    changes: list[Callable[[], Reply[Any]]] = [
        lambda: one.put(run, 12, 17, b"after", b""),
        lambda: one.tell(run, "state", b"x"),
        lambda: one.tell(run, "progress", b"x"),
        lambda: one.tell(run, "outcome", b"x"),
        lambda: one.drop(run),
    ]
    for change in changes:
        quiet(other)
        one.wait(change())
        until("a change", hears(other, run))
    other.unwatch([silent])
    quiet(other)
    put(one, silent, 0, b"x")
    other.watch([marker := create(one)])
    until("a later run", hears(other, marker))
    same("news of what is not watched", set(), other.news() - {marker})


def check_versions(place: LinkPlace) -> None:
    """A read of a watched run has another number when something but its bytes has changed, or none at all."""
    one, other = connect(place), connect(place)
    run = create(one)
    other.watch([run])
    until("the first news", hears(other, run))
    for field in ("state", "progress", "outcome"):
        before = other.wait(other.read(run, 0, 100)).version
        one.wait(one.tell(run, field, b"x"))
        until("a change", hears(other, run))
        after = other.wait(other.read(run, 0, 100)).version
        same(f"another number after a {field}", True, after is None or after != before)


def check_polled(place: LinkPlace) -> None:
    """News make the descriptor readable, so that a loop can sleep until then."""
    one, other = connect(place), connect(place)
    run = create(one)
    other.watch([run])
    until("the first news", hears(other, run))
    quiet(other)
    poller = select.poll()
    poller.register(other.fileno(), select.POLLIN)
    one.wait(one.put(run, 0, 1, b"x", b""))
    deadline = time.monotonic() + PATIENCE
    while run not in other.news():
        same("readable", True, bool(poller.poll(1000 * PATIENCE)) and time.monotonic() < deadline)
        other.step()


def check_cut(place: LinkPlace) -> None:
    """A cut fails what is open with LinkDown; after hello all goes on, and all that is watched is news."""
    one, other = connect(place), connect(place)
    run = create(one)
    other.watch([run, LISTED])
    until("the first news", hears(other, run))
    quiet(other)
    for turn in range(3):
        place.cut()
        for link in (one, other):
            until("down", partial(_down, link))
            refused("a request", LinkDown, partial(_wait_leases, link))
        one.wait(one.hello())
        same("put", None, put(one, run, turn, b"x"))
        other.wait(other.hello())
        until("all of it", hears(other, run, LISTED))
    same("bytes", b"xxx", read_all(other, run))
    open_ones = [one.put(run, 3, 4, b"x", b"") for _ in range(3)]
    one.close()
    one.close()
    same("open requests of a closed link", [LinkDown] * 3, [_error(reply) for reply in open_ones])


def _wait_leases(link: Link) -> object:
    return link.wait(link.leases())


def _down(link: Link) -> bool:
    try:
        stepped(link)
    except LinkDown:
        return True
    return False


def _error(reply: Reply[Any]) -> type[Exception] | None:
    try:
        reply.result()
    except Exception as error:
        return type(error)
    return None


def check_callbacks(place: LinkPlace) -> None:
    """What a callback raises comes out of `step`, and the link is down then, with all that was open."""
    link = connect(place)
    run = create(link)
    link.put(run, 0, 1, b"x", b"").then(lambda _: 1 // 0)
    later = [link.put(run, at, at + 1, b"x", b"") for at in (1, 2)]
    try:
        got: object = link.wait(later[-1])
    except CallbackFailed as error:
        got = type(error.__cause__)
    same("what comes out of step", ZeroDivisionError, got)
    same("down", True, _down(link))
    same("what was open", {LinkDown}, {_error(reply) for reply in later})
    link.wait(link.hello())
    same("bytes", b"x" * link.wait(link.look([run]))[run].tail, read_all(link, run))


def check_lists(place: LinkPlace) -> None:
    """Runs are listed by id, the last one first, from any of them on; a new one is news."""
    one, other = connect(place), connect(place)
    other.watch([LISTED])
    until("the list", hears(other, LISTED))
    same("an empty list", [], [*one.wait(one.list(None, 10))])
    ids = [create(one) for _ in range(7)][::-1]
    until("new runs", hears(other, LISTED))
    same("all", ids, [*other.wait(other.list(None, 10))])
    same("the last three", ids[:3], [*other.wait(other.list(None, 3))])
    same("before one", ids[3:6], [*other.wait(other.list(ids[2], 3))])
    same("before the first", [], [*other.wait(other.list(ids[-1], 3))])
    quiet(other)
    one.wait(one.drop(ids[0]))
    until("a run less", hears(other, LISTED))


def check_leases(place: LinkPlace) -> None:
    """A lease ends by itself, and only its holder renews it."""
    one, other = connect(place), connect(place)
    one.wait(one.lease("a", LEASE, b"store 1"))
    one.wait(one.lease("b", 0.05, b"store 2"))
    refused("another holder", Fenced, lambda: other.wait(other.lease("a", LEASE, b"store 3")))
    other.wait(other.lease("a", LEASE, b"store 1"))
    until("the end of a lease", lambda: other.wait(other.leases())["b"] < 0)
    leases = one.wait(one.leases())
    same("hosts", {"a", "b"}, set(leases))
    same("what is left of a long one", True, 0 < leases["a"] <= LEASE)
    other.wait(other.lease("b", LEASE, b"store 4"))
    same("b has one again", True, one.wait(one.leases())["b"] > 0)


def check_loses(place: LinkPlace) -> None:
    """A run is lost only while its host has no lease, once, and its host is fenced from then on."""
    one, other = connect(place), connect(place)
    run = create(one)
    one.wait(one.lease("a", 0.05, b"store"))
    one.wait(one.lease("a", LEASE, b"store"))
    same("lost with a lease", False, other.wait(other.lose(run, b"lost")))
    one.wait(one.lease("a", 0.05, b"store"))
    until("lost without", lambda: other.wait(other.lose(run, b"lost")))
    same("lost again", False, other.wait(other.lose(run, b"again")))
    one.wait(one.lease("a", LEASE, b"store"))
    refused("put", Fenced, lambda: put(one, run, 0, b"x"))
    for field in ("state", "progress", "outcome"):
        refused(field, Fenced, lambda field=field: one.wait(one.tell(run, field, b"done")))  # type: ignore[misc]
    look = one.wait(one.look([run]))[run]
    same("outcome and fence", (b"lost", 1), (look.outcome, look.fence))


def check_asks(place: LinkPlace) -> None:
    """A request to a host is news there, comes once, and its answer comes back."""
    one, other = connect(place), connect(place)
    host = f"host-{new_run_id()}"
    one.wait(one.lease(host, LEASE, b"store"))
    until("the first news", hears(one, ASKS))
    requests = [b"stop", bytes(range(256)) * 256]
    replies = [other.ask(host, request, PATIENCE) for request in requests]
    taken: list[bytes] = []

    def serve() -> bool:
        other.step()
        if ASKS in stepped(one):
            for ask in one.wait(one.asks()):
                taken.append(ask.request)
                one.wait(one.answer(ask, ask.request[::-1]))
        return all(reply.done for reply in replies)

    until("answers", serve)
    same("requests, each once", requests, taken)
    same("answers", [request[::-1] for request in requests], [reply.result() for reply in replies])
    same("no more", [], [*one.wait(one.asks())])
    refused("too long", UsageError, lambda: other.ask(host, b"x" * (PUT_BYTES + 1), 1.0))


def check_no_host(place: LinkPlace) -> None:
    """No request goes to a host without a lease; one that does not answer in time does not do it later."""
    one, other = connect(place), connect(place)
    refused("nobody", NoHost, lambda: other.wait(other.ask("nobody", b"stop", 1.0)))
    one.wait(one.lease("slow", LEASE, b"store"))
    refused("no answer", Late, lambda: other.wait(other.ask("slow", b"stop", 0.05)))
    same("what is taken afterwards", [], [*one.wait(one.asks())])
    late = other.ask("slow", b"stop", 0.3)
    taken: list[Ask] = []

    def take() -> bool:
        nonlocal late
        other.step()
        if late.done:  # a slow machine, which has taken nothing in that time
            late = other.ask("slow", b"stop", 0.3)
        taken.extend([*one.wait(one.asks())])
        return bool(taken)

    until("what is taken in time", take)
    refused("a late answer", Late, lambda: other.wait(late))
    one.wait(one.answer(taken[0], b"done"))


CHECKS = (
    check_news,
    check_versions,
    check_polled,
    check_cut,
    check_callbacks,
    check_lists,
    check_leases,
    check_loses,
    check_asks,
    check_no_host,
)
