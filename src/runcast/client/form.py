"""A form with files as a request has it (multipart/form-data, RFC 7578): its length, its bytes by pieces.

Owns the syntax. A file is read while it is sent, so it is never wholly in memory.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping

from runcast.sysio.uploads import Upload

__all__ = ["Form"]

_PIECE_BYTES = 256 * 1024
_BYTES = "Content-Type: application/octet-stream"
_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers do, HTML "multipart/form-data"


class Form:
    """A form.

    Args:
        fields: the fields in order, texts and files.

    Attributes:
        content_type: of the request.
        length: of its body, in bytes.
    """

    def __init__(self, fields: Mapping[str, str | Upload]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[bytes | Upload] = []
        for name, value in fields.items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_QUOTED)}"'
            if isinstance(value, Upload):
                head += (
                    f'; filename="{value.name.translate(_QUOTED)}"\r\nContent-Type: application/octet-stream'
                )
                self._parts += [f"{head}\r\n\r\n".encode(), value, b"\r\n"]
            else:
                self._parts.append(f"{head}\r\n\r\n{value}\r\n".encode())
        self._parts.append(f"--{boundary}--\r\n".encode())
        self.length = sum(one.size if isinstance(one, Upload) else len(one) for one in self._parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, Upload):
                yield from part.pieces(_PIECE_BYTES)
            else:
                yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece
