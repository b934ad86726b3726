"""A reader beside a writer that drops what it wrote as fast as it can."""

import os
import signal
from pathlib import Path

import pytest

from runcast.log import FileLog, FileLogWriter
from runcast.model import Channel
from runcast.store.run_files import RunFiles

SEGMENT, SEGMENTS = 4096, 6_000
pytestmark = pytest.mark.slow


def write(directory: RunFiles) -> None:
    """Write segments of which few are kept."""
    writer = FileLogWriter(directory, cap_bytes=16 * SEGMENT, segment_bytes=SEGMENT)
    for number in range(SEGMENTS):
        writer.append(Channel.STDOUT, bytes([number % 251]) * SEGMENT)


def test_reader_of_what_is_being_dropped(tmp_path: Path) -> None:
    """What is read is right, what was dropped a gap, and beside a fast writer a reader comes to the end."""
    directory = RunFiles.create(str(tmp_path / "run"), {})
    assert directory.acquire()
    child = os.fork()
    if child == 0:
        try:
            write(directory)
            os._exit(0)
        finally:
            os._exit(1)
    try:
        log, offset, read = FileLog(directory.path), 0, 0
        while offset < SEGMENT * SEGMENTS:
            reading = log.read(offset)
            for chunk in reading.chunks:
                assert chunk.offset == offset
                offset = chunk.next
                for at in range(0, len(chunk.data), SEGMENT):
                    assert chunk.data[at] == (chunk.offset + at) // SEGMENT % 251
                read += len(chunk.data)
            assert reading.next == offset
        assert read > 16 * SEGMENT // 2
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
