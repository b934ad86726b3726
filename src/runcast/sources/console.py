"""The process's own stdout and stderr, for a run whose output goes there as well (`tee=True`).

Owns the writing of bytes to `sys.stdout` and `sys.stderr`, which may be a file, a text stream or None. A
failing write is no error of the run. Only the run's own output is in order: prints of other code may
come in between.
"""

from __future__ import annotations

import codecs
import contextlib
import sys
from contextvars import Context

from runcast.model import Channel

__all__ = ["Console"]


class Console:
    """Shows bytes of stdout and stderr; values of channel data are not shown on a console."""

    def __init__(self) -> None:
        make = codecs.getincrementaldecoder("utf-8")
        self._streams = {
            Channel.STDOUT: (sys.stdout, make("replace")),
            Channel.STDERR: (sys.stderr, make("replace")),
        }

    def write(self, channel: Channel, data: bytes) -> None:
        """Show bytes of a channel as text; an incomplete character is held back."""
        stream, decoder = self._streams.get(channel, (None, None))
        if stream is not None and decoder is not None and (text := decoder.decode(data)):
            with contextlib.suppress(Exception):  # a stream may be any object
                Context().run(_show, stream, text)  # outside any run, so that it is not captured


def _show(stream: object, text: str) -> None:
    stream.write(text)  # type: ignore[attr-defined]
    stream.flush()  # type: ignore[attr-defined]
