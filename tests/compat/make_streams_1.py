"""Make the streams of format 1: `python -m tests.compat.make_streams_1 FOLDER`.

They were made once, are kept in git, and must stay usable for ever: do not make them again to have
a test pass. What is expected of each is written down in test_compat_streams.py, by hand.
"""

import shutil
import sys
from pathlib import Path

from runcast.durable import FileStreams
from runcast.durable.pending import Pending, PendingFile
from runcast.wire.durable import Appending, Creation, Producer

TEXT, JSON = "text/plain", "application/json"


def make(store: Path) -> None:
    """Make them in a store."""
    streams = FileStreams(str(store))
    plain, _ = streams.create("builds/42", Creation("text/plain; charset=utf-8", ttl=10**9), b"one\n")
    for number in range(3):
        plain.append(
            Appending(TEXT, Producer("p", 1, 0) if not number else Producer("p", 1, number), f"{number}"),
            b"x\n",
        )
    closed, _ = streams.create("chat", Creation(JSON), b'{"a":1}\n')
    closed.append(Appending(JSON, Producer("é", 0, 0), close=True), b"[2]\n3\n")
    streams.create("fork", Creation(forked_from="chat", fork_offset="8", sub_offset=1))
    streams.create("gone", Creation(TEXT), b"kept by its fork")
    streams.create("heir", Creation(forked_from="gone"))
    streams.delete("gone")
    torn, _ = streams.create("torn", Creation(TEXT), b"whole")
    torn.append(Appending(TEXT), b" too")
    streams.close()
    path = store / ".streams" / torn.id
    tail = PendingFile(str(path / "append" / "tail"))
    tail.write(Pending(1, 9, 20))
    tail.close()
    with (path / "log" / ("0" * 20)).open("ab") as file:
        file.write(b"never")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    make(target / "made")
    shutil.move(target / "made" / ".streams", target / "streams-1")
