"""What a new stream in files begins with: its `run.json`, its first bytes, and where the next ones go."""

from __future__ import annotations

from runcast.durable.pending import Pending, PendingFile
from runcast.durable.stream import Settings, ended
from runcast.log import FileLogWriter
from runcast.model import Channel
from runcast.store.run_files import RunFiles

__all__ = ["request_of", "write_first"]

FORMAT = 1


def request_of(settings: Settings) -> dict[str, object]:
    """Return the content of `run.json`: the stream's settings, and the fields that every run has."""
    return {"format": FORMAT, "source": "stream", "command": [], **settings.to_json()}


def write_first(directory: RunFiles, channel: Channel, data: bytes, *, closed: bool) -> None:
    """Write the first bytes of a new stream, and its `append/tail`."""
    writer = FileLogWriter(directory, cap_bytes=None)
    try:
        if data:
            writer.append_whole(channel, data)
        tail = PendingFile(f"{directory.path}/append/tail", create=True)
        try:
            tail.write(Pending(0, writer.tail, writer.tail))
        finally:
            tail.close()
        if closed:
            writer.close(ended())
    finally:
        writer.park()
