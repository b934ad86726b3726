"""Promises of a link about runs and their logs, one function each, with the promise as its docstring."""

from __future__ import annotations

from functools import partial

from runcast.errors import Fenced, LinkDown, NoRun, UsageError
from runcast.ids import new_run_id
from runcast.link import PUT_BYTES, Entry, Link
from runcast.link.rules import key_name
from runcast.testing.link_places import LinkPlace
from runcast.testing.link_steps import PIECES, connect, create, entries_of, fill, put, read_all, refused, same

__all__ = ["CHECKS"]


def check_hello(place: LinkPlace) -> None:
    """The first host names the engine, all others read the same name, and it changes with its data."""
    one, other = place.link(), place.link()
    refused("a request before hello", LinkDown, lambda: one.wait(one.leases()))
    refused("news before hello", LinkDown, one.news)
    epoch = one.wait(one.hello()).epoch
    same("epoch of another link", epoch, other.wait(other.hello()).epoch)
    same("epoch after another hello", epoch, one.wait(one.hello()).epoch)
    place.clear()
    same("the same epoch after a loss", False, one.wait(one.hello()).epoch == epoch)


def check_created(place: LinkPlace) -> None:
    """A run that is created has its request and its host; created again, it stays as it is."""
    one, other = connect(place), connect(place)
    run = create(one)
    fill(one, run)
    same("created again", run, other.wait(other.create(run, b"another", "b")))
    look = other.wait(other.look([run]))[run]
    same("request and host", (b'{"name": "check"}', "a"), (look.request, look.host))
    same("tail", len(b"".join(PIECES)), look.tail)
    same("fields at first", (None, None, None, 0, 0), (*look[2:5], look.first, look.fence))


def check_keys(place: LinkPlace) -> None:
    """Of 16 hosts that create a run with one key, one does, and the others get its id."""
    links = [connect(place) for _ in range(16)]
    runs = [new_run_id() for _ in links]
    replies = [link.create(run, b"{}", "a", "nightly") for link, run in zip(links, runs, strict=True)]
    ids = {link.wait(reply) for link, reply in zip(links, replies, strict=True)}
    same("ids", 1, len(ids))
    winner = ids.pop()
    same("runs that are there", {winner}, {*links[0].wait(links[0].look(runs)).keys()})
    same("listed", [winner], [*links[0].wait(links[0].list(None, 50))])
    same("the winner again", winner, links[3].wait(links[3].create(winner, b"{}", "a", "nightly")))
    links[0].wait(links[0].drop(winner))
    free = new_run_id()
    same("a key that is free", free, links[1].wait(links[1].create(free, b"{}", "a", "nightly")))


def check_names(place: LinkPlace) -> None:
    """Of 16 hosts that claim a name one has it, until it is freed by its value; a run's key is a name."""
    links = [connect(place) for _ in range(16)]
    replies = [link.claim("n", b"%d" % number) for number, link in enumerate(links)]
    values = {link.wait(reply) for link, reply in zip(links, replies, strict=True)}
    same("values", 1, len(values))
    value = values.pop()
    one, other = links[:2]
    same("of another host", value, one.wait(one.named("n")))
    one.wait(one.free("n", b"another"))
    same("freed by another value", value, other.wait(other.named("n")))
    one.wait(one.free("n", value))
    same("freed", None, other.wait(other.named("n")))
    same("claimed again", bytes(range(256)), other.wait(other.claim("n", bytes(range(256)))))
    run, later = new_run_id(), new_run_id()
    one.wait(one.create(run, b"{}", "a", "nightly"))
    same("the run of a key", run.encode(), other.wait(other.named(key_name("nightly"))))
    other.wait(other.free(key_name("nightly"), run.encode()))
    same("a key that is free", later, other.wait(other.create(later, b"{}", "b", "nightly")))
    one.wait(one.drop(run))
    same("the key of the later run", later.encode(), one.wait(one.named(key_name("nightly"))))


def check_puts(place: LinkPlace) -> None:
    """A put is taken only at the tail; elsewhere, and when repeated, the reply is the tail."""
    link = connect(place)
    run = create(link)
    same("at the tail", None, put(link, run, 0, b"0123456789"))
    for start, data in ((11, b"beyond"), (0, b"0123456789"), (0, b"01234"), (5, b"5678"), (5, b"56789abcd")):
        for _ in range(3):
            same(f"put at {start}", 10, put(link, run, start, data))
    same("at the tail again", None, put(link, run, 10, b"ab"))
    same("bytes", b"0123456789ab", read_all(link, run))


def check_no_puts(place: LinkPlace) -> None:
    """What is no put is refused at once, and a run that is not there with NoRun."""
    link = connect(place)
    run = create(link)
    for start, end, data in ((0, 0, b""), (5, 4, b""), (-1, 1, b"ab"), (0, 3, b"ab"), (0, 1, b"ab")):
        refused(f"{start} to {end}", UsageError, partial(link.put, run, start, end, data, b""))
    refused("too long", UsageError, lambda: put(link, run, 0, b"x" * (PUT_BYTES + 1)))
    refused("no run", NoRun, lambda: put(link, new_run_id(), 0, b"x"))
    refused("reading no run", NoRun, lambda: link.wait(link.read(new_run_id(), 0, 10)))
    refused("telling no run", NoRun, lambda: link.wait(link.tell(new_run_id(), "state", b"x")))
    refused("trimming no run", NoRun, lambda: link.wait(link.trim(new_run_id(), 10)))
    refused("losing no run", NoRun, lambda: link.wait(link.lose(new_run_id(), b"lost")))


def check_queued(place: LinkPlace) -> None:
    """Requests for a run are done in order, and answered in order; one at a wrong place stops the rest."""
    link = connect(place)
    run = create(link)
    order: list[int] = []
    replies = [link.put(run, at, at + 1, b"x", b"") for at in (*range(100), 101, 102)]
    for number, reply in enumerate(replies):
        reply.then(lambda _, number=number: order.append(number))  # type: ignore[misc]
    same("replies before a step", False, any(reply.done for reply in replies))
    link.wait(replies[-1])
    same("order of the replies", list(range(102)), order)
    same("results", [None] * 100 + [100, 100], [reply.result() for reply in replies])


def check_writers(place: LinkPlace) -> None:
    """Of two hosts that write one run, one is taken at each offset, and nothing is mixed."""
    links = [connect(place), connect(place)]
    run = create(links[0])
    at = 0
    for turn in range(20):
        sent = [link.put(run, at, at + 10, b"%010d" % (2 * turn + n), b"") for n, link in enumerate(links)]
        got = [link.wait(reply) for link, reply in zip(links, sent, strict=True)]
        same("results", {None, at + 10}, set(got))
        at += 10
    data = read_all(links[0], run)
    same("a writer at each offset", list(range(20)), [int(data[n : n + 10]) // 2 for n in range(0, 200, 10)])


def check_reads(place: LinkPlace) -> None:
    """Each offset can be read from, with any limit, and what is read has no hole."""
    link = connect(place)
    run = create(link)
    same("entries of an empty log", ([], 0, 0), link.wait(link.read(run, 0, 100))[:3])
    data = fill(link, run)
    for offset in [*range(20), 300, len(data) - 1, len(data)]:
        for limit in (1, 10, 600, 1 << 20):
            same(f"bytes from {offset}, {limit} at a time", data[offset:], read_all(link, run, offset, limit))
    stretch = link.wait(link.read(run, 0, 1 << 20))
    same(
        "index", [b"%d" % number for number in range(len(PIECES))], [e.records for e in entries_of(link, run)]
    )
    same("first and tail", (0, len(data)), (stretch.first, stretch.tail))
    same("entries of a small limit", 1, len(link.wait(link.read(run, 0, 1)).entries))


def check_gaps(place: LinkPlace) -> None:
    """A gap of any length is an entry without bytes, and what follows goes on behind it."""
    link = connect(place)
    run, far = create(link), 10_000_000_000
    put(link, run, 0, b"head")
    same("put of a gap", None, link.wait(link.put(run, 4, far, b"", b"")))
    put(link, run, far, b"tail", b"i")
    entries = entries_of(link, run)
    expected = [Entry(0, 4, b"head", b""), Entry(4, far, b"", b""), Entry(far, far + 4, b"tail", b"i")]
    same("entries", expected, entries)
    same("entries from within the gap", expected[1:], entries_of(link, run, 5000))


def check_values(place: LinkPlace) -> None:
    """64 KiB and all values of a byte come back as they were, in data, index, request and fields."""
    link = connect(place)
    every = bytes(range(256))
    run = link.wait(link.create(new_run_id(), every, "a"))
    put(link, run, 0, every * 256, every)
    put(link, run, PUT_BYTES, b"\r\n", b"")
    link.wait(link.tell(run, "progress", every))
    entries = entries_of(link, run)
    same("entries", [(every * 256, every), (b"\r\n", b"")], [(e.data, e.records) for e in entries])
    look = link.wait(link.look([run]))[run]
    same("request and progress", (every, every), (look.request, look.progress))


def check_trims(place: LinkPlace) -> None:
    """Trimming forgets whole entries; `first` says so, and the next put still begins at the tail."""
    link = connect(place)
    run = create(link)
    data = fill(link, run)
    same("nothing to trim", 0, link.wait(link.trim(run, 3)))
    same("the first two", 7, link.wait(link.trim(run, 9)))
    stretch = link.wait(link.read(run, 0, 1 << 20))
    same("first, and where it begins", (7, 7), (stretch.first, stretch.entries[0].start))
    same("bytes", data[7:], read_all(link, run, 7))
    same("all", len(data), link.wait(link.trim(run, len(data))))
    same("an empty stretch", ([], len(data), len(data)), link.wait(link.read(run, 0, 100))[:3])
    same("first and tail", (len(data), len(data)), _tails(link, run))
    same("put behind the tail", len(data), put(link, run, 0, b"again"))
    same("put at the tail", None, put(link, run, len(data), b"more"))
    same("bytes at last", b"more", read_all(link, run, len(data)))


def _tails(link: Link, run: str) -> tuple[int, int]:
    look = link.wait(link.look([run]))[run]
    return look.first, look.tail


def check_drops(place: LinkPlace) -> None:
    """A dropped run is gone, may be dropped again, and may be made anew."""
    link = connect(place)
    run = create(link)
    fill(link, run)
    for _ in range(2):
        link.wait(link.drop(run))
        same("look", {}, link.wait(link.look([run])))
        same("list", [], [*link.wait(link.list(None, 10))])
        refused("read", NoRun, lambda: link.wait(link.read(run, 0, 10)))
        refused("put", NoRun, lambda: put(link, run, 0, b"x"))
    create(link, run=run)
    same("put into the new one", None, put(link, run, 0, b"x"))


def check_tells(place: LinkPlace) -> None:
    """The last state and progress win, the first outcome does, and no put is taken after it."""
    one, other = connect(place), connect(place)
    run = create(one)
    for field in ("state", "progress"):
        for value in (b"first", b"last"):
            same("a field", True, one.wait(one.tell(run, field, value)))
    same("the first outcome", True, one.wait(one.tell(run, "outcome", b"done")))
    same("the same one again", True, one.wait(one.tell(run, "outcome", b"done")))
    same("another outcome", False, other.wait(other.tell(run, "outcome", b"lost")))
    same("fields", (b"last", b"last", b"done"), other.wait(other.look([run]))[run][2:5])
    refused("put after the outcome", Fenced, lambda: put(one, run, 0, b"x"))
    same("lost after the outcome", False, other.wait(other.lose(run, b"lost")))


def check_looks(place: LinkPlace) -> None:
    """Many runs, wherever the engine has them, are written and looked at in one go."""
    link = connect(place)
    runs = [create(link) for _ in range(50)]
    replies = [link.put(run, 0, n + 1, b"x" * (n + 1), b"") for n, run in enumerate(runs)]
    for reply in replies:
        same("put", None, link.wait(reply))
    looks = link.wait(link.look([*runs, new_run_id()]))
    same("tails", {run: n + 1 for n, run in enumerate(runs)}, {r: look.tail for r, look in looks.items()})
    same("look at none", {}, link.wait(link.look([])))


CHECKS = (
    check_hello,
    check_created,
    check_keys,
    check_names,
    check_puts,
    check_no_puts,
    check_queued,
    check_writers,
    check_reads,
    check_gaps,
    check_values,
    check_trims,
    check_drops,
    check_tells,
    check_looks,
)
