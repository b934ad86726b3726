"""From pipes to the log: where output is cut when two channels alternate."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.log import MemoryLog, MemoryLogWriter
from runcast.masking.masks import Masks
from runcast.masking.stream import HOLD_SECONDS, MaskedStream
from runcast.model import CHUNK_BYTES, Channel
from runcast.supervisor.pump import CARRY_SECONDS, Pipe, Pump

OUT, ERR = Channel.STDOUT, Channel.STDERR


class Bench:
    """Two pipes, a pump and a log."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.closed: list[int] = []
        self.ends: dict[Channel, int] = {}
        self.pipes: dict[Channel, Pipe] = {}
        for channel in (OUT, ERR):
            reading, self.ends[channel] = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self.pipes[channel] = Pipe(reading, channel)
        self.pump = Pump(MemoryLogWriter(self.log), self.closed.append)
        for pipe in self.pipes.values():
            self.pump.add(pipe)

    def write(self, channel: Channel, data: bytes, now: float = 0.0) -> None:
        """Write to a pipe and have the pump read it."""
        assert os.write(self.ends[channel], data) == len(data)
        while self.pump.move(self.pipes[channel], now):
            pass

    def got(self) -> list[tuple[Channel, bytes]]:
        """Return the log, neighbours of one channel joined."""
        found: list[tuple[Channel, bytes]] = []
        offset = 0
        while (reading := self.log.read(offset)).next != offset:
            offset = reading.next
            for chunk in reading.chunks:
                if found and found[-1][0] is chunk.channel:
                    found[-1] = chunk.channel, found[-1][1] + chunk.data
                else:
                    found.append((chunk.channel, chunk.data))
        return found

    def end(self, channel: Channel) -> None:
        """Close a pipe's writing end and have the pump see it."""
        os.close(self.ends.pop(channel))
        assert self.pump.move(self.pipes[channel], 0.0) is False

    def close(self) -> None:
        """Close what is open still."""
        for fd in [*self.ends.values(), *(pipe.fd for pipe in self.pump.pipes.values())]:
            os.close(fd)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Two pipes, a pump and a log."""
    bench = Bench()
    yield bench
    bench.close()


def test_one_channel_waits_for_nothing(bench: Bench):
    """A run that used one channel only has every byte in the log at once, half lines too."""
    bench.write(OUT, b"a line\nhalf a")
    assert bench.got() == [(OUT, b"a line\nhalf a")]
    assert bench.pump.due() is None

    bench.write(OUT, b" line")
    assert bench.got() == [(OUT, b"a line\nhalf a line")]


def test_lines_stay_together(bench: Bench):
    """Where channels alternate, a block that ends inside a line does not tear it."""
    bench.write(ERR, b"begin\n")
    bench.write(OUT, b"one\ntw")
    bench.write(ERR, b"warning: no")
    bench.write(OUT, b"o\nth")
    bench.write(ERR, b"thing\n")
    bench.write(OUT, b"ree\n")

    assert bench.got() == [
        (ERR, b"begin\n"),
        (OUT, b"one\ntwo\n"),
        (ERR, b"warning: nothing\n"),
        (OUT, b"three\n"),
    ]


def test_half_a_line_is_not_held_for_long(bench: Bench):
    """What is carried is due 10 ms after it came, and appended then: a prompt is seen."""
    bench.write(ERR, b"x\n")
    bench.write(OUT, b"name? ", now=5.0)
    assert bench.got() == [(ERR, b"x\n")]
    assert bench.pump.due() == 5.0 + CARRY_SECONDS

    bench.pump.expire(5.0 + CARRY_SECONDS / 2)
    assert bench.got() == [(ERR, b"x\n")]
    bench.pump.expire(5.0 + CARRY_SECONDS)
    assert bench.got() == [(ERR, b"x\n"), (OUT, b"name? ")]
    assert bench.pump.due() is None


def test_trickle_does_not_extend_the_wait(bench: Bench):
    """A line that comes a letter at a time is due 10 ms after its first letter, not its last."""
    bench.write(ERR, b"x\n")
    for n, letter in enumerate("abc"):
        bench.write(OUT, letter.encode(), now=5.0 + n / 1000)

    assert bench.pump.due() == 5.0 + CARRY_SECONDS


def test_long_line_is_not_carried(bench: Bench):
    """64 KiB without a line end are appended as they are."""
    bench.write(ERR, b"x\n")
    bench.write(OUT, b"y" * 40_000)
    bench.write(OUT, b"y" * 40_000)

    assert bench.got() == [(ERR, b"x\n"), (OUT, b"y" * CHUNK_BYTES)]
    assert len(bench.pipes[OUT].carry) == 80_000 - CHUNK_BYTES


def test_end_of_a_pipe(bench: Bench):
    """At the end of a pipe what it carried is appended, and its descriptor is told and closed."""
    bench.write(ERR, b"x\n")
    bench.write(OUT, b"no end")
    fd = bench.pipes[OUT].fd
    bench.end(OUT)

    assert bench.got() == [(ERR, b"x\n"), (OUT, b"no end")]
    assert bench.closed == [fd]
    assert list(bench.pump.pipes.values()) == [bench.pipes[ERR]]


def test_nothing_to_read(bench: Bench):
    """A pipe without bytes, whose other end is open, is not at its end."""
    assert bench.pump.move(bench.pipes[OUT], 0.0) is None


def test_drain(bench: Bench):
    """What is in the pipes when the program ends is read; what somebody holds open stays open."""
    bench.write(ERR, b"begin\n")
    os.write(bench.ends[OUT], b"o" * 9_999 + b"\nno end")
    os.write(bench.ends[ERR], b"e" * 10)
    os.close(bench.ends.pop(ERR))

    bench.pump.drain(0.0)

    assert sorted(bench.got()) == [(ERR, b"begin\n"), (ERR, b"e" * 10), (OUT, b"o" * 9_999 + b"\n")]
    assert list(bench.pump.pipes.values()) == [bench.pipes[OUT]]
    assert bench.pipes[OUT].carry == b"no end"


@given(st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.binary(min_size=1, max_size=40)), max_size=30))
def test_no_byte_is_lost(writes: list[tuple[Channel, bytes]]):
    """Whatever comes in which order, each channel's bytes are all there, in their order."""
    bench = Bench()
    try:
        for number, (channel, data) in enumerate(writes):
            bench.write(channel, data, now=number / 200)
            bench.pump.expire(number / 200)
        bench.end(OUT)
        bench.end(ERR)
    finally:
        bench.close()

    for wanted in (OUT, ERR):
        expected = b"".join(data for channel, data in writes if channel is wanted)
        assert b"".join(data for channel, data in bench.got() if channel is wanted) == expected
    assert bench.pump.bytes == sum(len(data) for _, data in writes)


def masking(bench: Bench, *values: str) -> None:
    """Mask what comes from both pipes."""
    masks = Masks(values)
    for pipe in bench.pipes.values():
        pipe.masked = MaskedStream(masks)


def test_a_secret_cut_at_every_byte_is_masked(bench: Bench):
    """A secret that comes in two reads is masked on each channel, whatever the other writes in between."""
    masking(bench, "hunter2")
    for at in range(8):
        for channel in (OUT, ERR):
            bench.write(channel, b"hunter2"[:at])
            bench.write(OUT if channel is ERR else ERR, b"x\n")
            bench.write(channel, b"hunter2"[at:] + b"\n")
    assert sum(data.count(b"***\n") for _, data in bench.got()) == 16
    assert b"hunter" not in b"".join(data for _, data in bench.got())


def test_what_may_begin_a_secret_is_due_after_a_second(bench: Bench):
    """It is appended a second after it came, and what completes it is masked."""
    masking(bench, "hunter2")
    bench.write(OUT, b"say hun", now=5.0)
    assert bench.got() == [(OUT, b"say ")]
    assert bench.pump.due() == 5.0 + HOLD_SECONDS
    bench.pump.expire(5.9)
    assert bench.got() == [(OUT, b"say ")]
    bench.pump.expire(6.0)
    assert bench.got() == [(OUT, b"say hun")]
    assert bench.pump.due() is None

    bench.write(OUT, b"ter2!\n", now=9.0)
    assert bench.got() == [(OUT, b"say hun***!\n")]


def test_what_waits_at_the_end_is_appended(bench: Bench):
    """At the end of a channel nothing can complete a secret any more."""
    masking(bench, "hunter2")
    bench.write(ERR, b"one\nhun")
    bench.write(OUT, b"::add-mask::some")
    bench.end(ERR)
    bench.pump.close_all()
    assert bench.got() == [(ERR, b"one\nhun"), (OUT, b"::add-mask::***")]


def test_a_value_named_on_one_channel_is_masked_on_the_other(bench: Bench):
    """`::add-mask::` counts for the whole run, and for the question that a program asks."""
    masking(bench)
    bench.write(ERR, b"::add-mask::some-thing\n")
    bench.write(OUT, b"is it some-thing? ")
    bench.pump.flush_all()
    assert bench.got() == [(ERR, b"::add-mask::***\n"), (OUT, b"is it ***? ")]
    assert bench.pump.last_line() == "is it ***?"
