"""A client that vanished is distinguished from one that does not read."""

import struct

import pytest

from runcast.web.servers.peer import _says_vanished


@pytest.mark.parametrize(
    ("resent", "probes", "silent", "gone"),
    [
        (6, 0, 25_000, True),  # what was sent is not acknowledged
        (0, 6, 25_000, True),  # it read nothing before, and vanished then
        (6, 0, 24_000, False),  # a tunnel
        (0, 0, 900_000, False),  # nothing was sent, nothing came back
        (0, 1, 120_000, False),  # paused: it answers each probe, and they come ever more seldom
    ],
)
def test_decision(resent: int, probes: int, silent: int, gone: bool):
    """Silence alone says nothing: something must have gone unanswered, several times."""
    info = struct.pack("=8B13I", 1, 0, resent, probes, 0, 0, 0, 0, *[7] * 12, silent)

    assert _says_vanished(info) is gone
    assert _says_vanished(info[:-1]) is False
