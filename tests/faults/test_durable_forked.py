"""A process that is forked while its threads append is an appender of its own, and waits for no ghost."""

import os
import signal
import threading
from pathlib import Path

import pytest

from runcast.durable import FileStreams
from runcast.wire.durable import Appending, Creation
from tests.helpers.wait import MS

pytestmark = pytest.mark.fault
PLAIN = Appending("text/plain")


def test_forked_while_others_append(tmp_path: Path) -> None:
    """Appends of a parent and of its child, forked in the midst of one, are all there, each whole."""
    streams = FileStreams(str(tmp_path))
    stream, _ = streams.create("s", Creation("text/plain"))
    stream.append(PLAIN, b"before\n")
    streams.caps.total = 1_000_000
    held, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with stream.locked(), streams._lock, streams.caps._lock:
            held.set()
            forked.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(max(1, round(30000 * MS)))  # a child that hangs fails
        try:
            for _ in range(100):
                streams.get("s").append(PLAIN, b"child\n")
            os._exit(0)
        finally:
            os._exit(1)
    forked.set()
    holder.join()
    for _ in range(100):
        stream.append(PLAIN, b"parent\n")

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    log = stream.open_log()
    lines = b"".join(chunk.data for chunk in log.read(0, log.tail_offset).chunks).splitlines()
    assert sorted(lines) == sorted([b"before"] + [b"child"] * 100 + [b"parent"] * 100)
