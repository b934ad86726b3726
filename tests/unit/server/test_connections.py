"""Who makes room for whom when there are too many connections."""

import pytest

from runcast.server import connections
from runcast.server.connections import Connections, bound, network

AWAY = "turned away"


class One:
    """A connection that notes what is done to it."""

    def __init__(self, open_ones: set["One"], address: str = "a") -> None:
        self.address, self.pending, self.outcome = address, 0, ""
        self._open = open_ones
        open_ones.add(self)

    def turn_away(self) -> None:
        self.outcome = AWAY

    def abort(self) -> None:
        self.outcome = "aborted"
        self._open.discard(self)


class Crowd:
    """A book and its connections."""

    def __init__(self, limit: int) -> None:
        self.open: set[One] = set()
        self.book = Connections(limit, lambda: len(self.open))

    def come(self, address: str = "a") -> One:
        one = One(self.open, address)
        self.book.add(one)
        return one


def test_oldest_stranger_goes():
    """Where there is no room the oldest stranger is closed, and the new connection is accepted."""
    crowd = Crowd(3)
    ones = [crowd.come() for _ in range(5)]

    assert [one.outcome for one in ones] == [AWAY, AWAY, "", "", ""]
    assert crowd.book.strangers == 3


def test_known_stay():
    """Known connections are never closed for others: when there are no strangers, a new one is refused."""
    crowd = Crowd(3)
    known = [crowd.come() for _ in range(3)]
    for one in known:
        crowd.book.discard(one)
    late = crowd.come()

    assert [one.outcome for one in known] == [""] * 3
    assert late.outcome == AWAY


def test_address_with_most_pays():
    """Room is made where most come from: who has one connection keeps it, however old."""
    crowd = Crowd(10)
    alone = crowd.come("b")
    many = [crowd.come("a") for _ in range(50)]

    assert alone.outcome == ""
    assert [bool(one.outcome) for one in many].count(True) == 41


def test_strangers_have_a_bound_of_their_own(monkeypatch: pytest.MonkeyPatch):
    """There may be fewer strangers than connections."""
    monkeypatch.setattr(connections, "MOST_STRANGERS", 5)
    crowd = Crowd(100)
    ones = [crowd.come() for _ in range(8)]

    assert [one.outcome for one in ones] == [AWAY] * 3 + [""] * 5


def test_pending_bytes(monkeypatch: pytest.MonkeyPatch):
    """So have the bytes of their unfinished requests."""
    monkeypatch.setattr(connections, "MOST_PENDING", 100)
    crowd = Crowd(100)
    ones = [crowd.come() for _ in range(3)]
    for one in ones:
        crowd.book.weigh(one, 40)

    assert [one.outcome for one in ones] == [AWAY, "", ""]
    assert crowd.book.pending == 80


def test_refused_ones_leave():
    """Refused connections have a moment to read why, and that takes no room from others."""
    crowd = Crowd(1)
    crowd.book.discard(crowd.come())
    refused = [crowd.come() for _ in range(20)]

    assert [one.outcome for one in refused] == ["aborted"] * 12 + [AWAY] * 8


def test_one_line_of_log(caplog: pytest.LogCaptureFixture):
    """However many are refused, the log says so once."""
    crowd = Crowd(1)
    crowd.book.discard(crowd.come())
    for _ in range(50):
        crowd.come()

    assert [record.getMessage() for record in caplog.records] == [
        "1 connections, as many as there may be (ulimit -n): others get a 503"
    ]


@pytest.mark.parametrize(("files", "expected"), [(64, 32), (1024, 922), (20_000, 18_000), (10, 1)])
def test_bound(files: int, expected: int):
    """A tenth of the descriptors is left for other things, and never fewer than it takes to work."""
    assert bound(files) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2"),
        ("2001:db8::1", "2001:db8:0:0"),
        ("::1", ":0:0:0"),
    ],
)
def test_network(address: str, expected: str):
    """Addresses that one machine can choose among are one."""
    assert network(address) == expected
