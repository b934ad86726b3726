"""What arrives from a printer, for tests to look at."""

from collections.abc import Iterator
from contextlib import contextmanager

from runcast.model import Channel
from runcast.sources.printer import Printer
from tests.helpers.wait import wait_until

OUT, ERR = Channel.STDOUT, Channel.STDERR


class Printed:
    """The appends that a printer made, in order."""

    def __init__(self) -> None:
        self.appends: list[tuple[Channel, bytes]] = []

    def append(self, channel: Channel, data: bytes) -> None:
        """Keep one."""
        self.appends.append((channel, data))

    def text(self, channel: Channel | None = None) -> str:
        """Return all that came, or that came on one channel."""
        return b"".join(data for c, data in list(self.appends) if channel in (None, c)).decode(
            errors="replace"
        )

    def wait_for(self, text: str) -> None:
        """Wait until a text is there."""
        wait_until(lambda: text in self.text(), what=f"{text!r} to be appended")


@contextmanager
def printing() -> Iterator[tuple[Printer, Printed]]:
    """Give a printer, closed at the end, and what it appended."""
    printed = Printed()
    printer = Printer(printed.append)
    try:
        yield printer, printed
    finally:
        printer.close()
