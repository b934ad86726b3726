"""Make the run directories of format 1: `python -m tests.compat.make_format_1 FOLDER`.

They were made once, are kept in git, and must stay readable for ever (promise R22): do not make
them again to have a test pass. Times and ids are fixed, so that making them elsewhere gives the
same bytes. What is expected of each is written down here, by hand or from the appends, and never
read back through the code that is tested.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

from runcast.log.records import RECORD_BYTES
from runcast.model import Channel, Outcome, Reason
from runcast.store.run_files import RunFiles
from tests.unit.log.disks import SECOND, SmallFile

OUT, ERR, DATA, GAP, UNKNOWN = (
    Channel.STDOUT,
    Channel.STDERR,
    Channel.DATA,
    Channel.GAP,
    Channel.UNKNOWN,
)
BEGIN = 1_700_000_000  # seconds; also the time of each append, by a quarter of a second
BINARY = (
    b"\xef\xbb\xbfbyte order mark\n"
    + bytes(range(256))
    + "separators \u2028 \u2029 \x85 \x0b \x0c \x1c, letters ä € 😀\r\n".encode()
    + b"cut \xc3 \xe2\x82 \xf0\x9f\x98, never valid \xc0\xaf \xed\xa0\x80 \xff\n\r\r\n\0\n"
)


class Piece(NamedTuple):
    """What a reader must find at a place of the log."""

    offset: int
    channel: Channel
    time: float
    data: bytes
    next: int = 0  # of a gap


class Case:
    """One run: its folder, and what is expected of it.

    Args:
        folder: where all cases are.
        name: of the case.
        number: makes the id.
        limits: `segment_bytes`, `cap_bytes` of the writer.
    """

    def __init__(self, folder: Path, name: str, number: int, **limits: int) -> None:
        self.path = folder / name
        shutil.rmtree(self.path, ignore_errors=True)
        self.id = f"01hf7yat00{number:016d}"
        request = {
            **{"format": 1, "id": self.id, "name": name, "source": "command", "command": ["printf", name]},
            **{"cwd": "/srv", "env": {"LANG": "C.UTF-8"}, "timeout": None, "idle_timeout": 60.0},
            **{"cap": limits.get("cap_bytes", 1073741824), "created_at": BEGIN - 0.5, "host": "golden"},
        }
        self.directory = RunFiles.create(str(self.path), request)
        self.limits = limits
        self.pieces: list[Piece] = []
        self.time = BEGIN * SECOND
        self.outcome: Outcome | None = None
        self.request = request
        self.writer = self.open_writer()

    def open_writer(self) -> SmallFile:
        """Begin to write, or go on after a crash."""
        assert self.directory.acquire()
        writer = SmallFile(self.directory, **self.limits)
        writer.now = self.time
        return writer

    def append(self, channel: Channel, data: bytes) -> None:
        """Append, and expect the bytes there."""
        self.pieces.append(Piece(self.writer.tail, channel, self.writer.now / SECOND, data))
        self.writer.append(channel, data)
        self.writer.now += SECOND // 4
        self.time = self.writer.now

    def close(self, outcome: Outcome) -> None:
        """End the run."""
        self.outcome = outcome
        self.writer.close(outcome)

    def save(self, *, state: str = "exited", lines: int | None = None) -> None:
        """Write what is expected. `lines`: as many are counted, if that is not what is there."""
        data = b"".join(piece.data for piece in self.pieces)
        expected: dict[str, Any] = {
            "request": self.request,
            "state": state,
            "outcome": self.outcome and self.outcome.to_json(),
            "tail_offset": self.writer.tail,
            "lines": data.count(b"\n") if lines is None else lines,
            "pieces": [
                {
                    "offset": piece.offset,
                    "next": piece.next or piece.offset + len(piece.data),
                    "channel": piece.channel,
                    "time": piece.time,
                    "data": piece.data.decode("latin-1"),
                }
                for piece in self.pieces
            ],
        }
        (self.path / "lock").unlink(missing_ok=True)
        (self.path / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def plain(folder: Path) -> None:
    """Make a run of a few lines on one channel."""
    case = Case(folder, "plain", 1)
    for text in (b"Hello\n", b"two\nthree\n", b"Good bye\n"):
        case.append(OUT, text)
    case.close(Outcome(Reason.EXITED, 0, ended_at=BEGIN + 10.0))
    case.save()


def channels(folder: Path) -> None:
    """Make a run of all channels in several segments, killed by a signal."""
    case = Case(folder, "channels", 2, segment_bytes=40)
    for n in range(12):
        case.append((OUT, ERR, OUT, DATA)[n % 4], b'{"number": %d}\n' % n if n % 4 == 3 else b"line %d\n" % n)
    case.append(ERR, b"a line that is longer than one segment and goes on in the next one\n")
    case.close(Outcome(Reason.STOPPED, signal=15, ended_at=BEGIN + 11.5))
    case.save()


def gap(folder: Path) -> None:
    """Make a run whose cap dropped the middle, of 40 times two lines."""
    case = Case(folder, "gap", 3, segment_bytes=100, cap_bytes=400)
    for n in range(40):
        case.append(OUT, b"line %2d, and some more, to make it 50 bytes long\n\n" % n)
    head = [piece for piece in case.pieces if piece.offset < 200]
    tail = [piece for piece in case.pieces if piece.offset >= 1800]
    case.pieces = [*head, Piece(200, GAP, 0.0, b"", 1800), *tail]
    case.close(Outcome(Reason.EXITED, 0, truncated=True, ended_at=BEGIN + 20.0))
    case.save(lines=80)


def full_disk(folder: Path) -> None:
    """Make a run that met a full disk, twice, the second time at its end."""
    case = Case(folder, "full-disk", 4)
    case.append(OUT, b"kept\n")
    case.writer.room = 0
    case.append(OUT, b"lost\n")
    case.writer.room = 1000
    case.append(ERR, b"kept again\n")
    case.writer.room = 4
    case.append(OUT, b"lost at the end\n")
    kept, lost, again, end = case.pieces
    case.pieces = [
        kept,
        lost._replace(channel=GAP, time=0.0, data=b"", next=10),
        again,
        end._replace(channel=GAP, time=0.0, data=b"", next=37),
    ]
    case.close(Outcome(Reason.EXITED, 0, dropped=21, ended_at=BEGIN + 3.0))
    case.save(lines=3)


def lost(folder: Path) -> None:
    """Make a run whose supervisor died: bytes, and nobody who says how it ended."""
    case = Case(folder, "lost", 5)
    case.append(OUT, b"going well\n")
    case.append(ERR, b"going\nalong")
    case.writer._release()
    case.save(state="lost")


def damaged(folder: Path) -> None:
    """Make a run whose index lost its second record, and was torn inside its last one."""
    case = Case(folder, "damaged-index", 6)
    for channel, text in [(OUT, b"one\n"), (ERR, b"two\n"), (OUT, b"three\n"), (ERR, b"four\n")]:
        case.append(channel, text)
    case.close(Outcome(Reason.EXITED, 1, ended_at=BEGIN + 2.0))
    index = case.path / "log" / f"{0:020d}.index"
    data = bytearray(index.read_bytes())
    data[2 * RECORD_BYTES : 3 * RECORD_BYTES] = bytes(RECORD_BYTES)
    index.write_bytes(data[:-5])
    # The first record may have described fewer bytes than are there before the third, and so may
    # the third: only the record that is missing would tell.
    case.pieces = [
        Piece(0, UNKNOWN, BEGIN, b"one\ntwo\n"),
        Piece(8, UNKNOWN, BEGIN + 0.5, b"three\nfour\n"),
    ]
    case.save()


def no_end(folder: Path) -> None:
    """Make a run whose last line has no end."""
    case = Case(folder, "no-end", 7)
    case.append(OUT, b"first\nlast, with")
    case.append(ERR, b"Enter your name: ")
    case.append(OUT, b"out an end")
    case.close(Outcome(Reason.TIMED_OUT, signal=9, message="it took too long", ended_at=BEGIN + 60.0))
    case.save()


def binary(folder: Path) -> None:
    """Make a run of all byte values, invalid UTF-8 and every separator."""
    case = Case(folder, "binary", 8, segment_bytes=97)
    case.append(OUT, BINARY)
    case.append(ERR, BINARY[::-1])
    case.close(Outcome(Reason.SIGNALED, signal=11, value={"a": [1, None, "ä"]}, ended_at=BEGIN + 1.0))
    case.save()


def silent(folder: Path) -> None:
    """Make a run that could not be started and so said nothing. Its folder `log` is not kept by git."""
    case = Case(folder, "silent", 9)
    case.close(Outcome(Reason.FAILED_TO_START, 127, message="command not found: 'x'", ended_at=BEGIN + 0.0))
    case.save()


def continued(folder: Path) -> None:
    """Make a log that two writers wrote, the first of which died."""
    case = Case(folder, "continued", 10)
    case.append(OUT, b"the first writer\n")
    case.append(ERR, b"dies in mid-")
    case.writer._release()
    case.writer = case.open_writer()
    case.append(OUT, b"line\n")
    case.close(Outcome(Reason.EXITED, 0, ended_at=BEGIN + 5.0))
    case.save()


def main(folder: str) -> None:
    """Make all cases in a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for make in (plain, channels, gap, full_disk, lost, damaged, no_end, binary, silent, continued):
        make(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1])
