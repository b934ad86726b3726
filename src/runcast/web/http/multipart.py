"""multipart/form-data (RFC 7578), in a file: the fields of a form, and where the files in it are.

Owns the syntax (RFC 2046, section 5.1.1): delimiters, the headers of a part. The body is not held in memory,
it is searched in place; a file is a range of it. What is not exactly of this form is refused: nothing is
guessed. Must not know what fields mean.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from runcast.errors import UsageError

__all__ = ["Part", "boundary_in", "is_multipart", "parts_in"]

_BOUNDARY = re.compile(r"""boundary=(?:"([^"\\]{1,70})"|([0-9A-Za-z'()+_,\-./:=?]{1,70}))\s*(?:;|\Z)""", re.I)
_DISPOSITION = re.compile(rb"content-disposition:[ \t]*form-data[ \t]*(;.*)\Z", re.I | re.S)
_PARAMETER = re.compile(rb';[ \t]*([a-z*]+)="([^"\r\n]*)"', re.I)  # browsers write %22 for a quote
_HEAD_BYTES = 8 * 1024  # of the headers of a part
_PIECE_BYTES = 1024 * 1024  # searched at once
_PARTS_MOST = 200
_VALUE_BYTES = 64 * 1024  # of a field that is no file


class Part(NamedTuple):
    """A field of a form.

    Attributes:
        name: of the field.
        filename: as the client has it; None for a field that is no file.
        start: where its bytes begin in the body.
        size: how many there are.
        value: of a field that is no file.
    """

    name: str
    filename: str | None
    start: int
    size: int
    value: str = ""


def is_multipart(content_type: str | None) -> bool:
    """Return whether a body is one of these."""
    return (content_type or "").partition(";")[0].strip().lower() == "multipart/form-data"


def boundary_in(content_type: str | None) -> bytes:
    """Return what stands between the parts.

    Raises:
        UsageError: the header does not say it.
    """
    match = _BOUNDARY.search((content_type or "").partition(";")[2])
    if match is None:
        raise UsageError(f"expected multipart/form-data with a boundary, got {content_type!r:.100}")
    return (match[1] or match[2]).encode("latin-1")


def parts_in(fd: int, boundary: bytes) -> list[Part]:
    """Return the fields of a body in a file.

    Raises:
        UsageError: it is not of this form, or has too many fields.
    """
    delimiter = b"--" + boundary
    if os.pread(fd, len(delimiter), 0) != delimiter:
        raise _wrong("it does not begin with its boundary")
    parts: list[Part] = []
    at = len(delimiter)
    while (after := os.pread(fd, 2, at)) != b"--":
        if after != b"\r\n":
            raise _wrong(f"a line end is missing at byte {at}")
        if len(parts) == _PARTS_MOST:
            raise _wrong(f"it has more than {_PARTS_MOST} fields")
        head, found, _ = os.pread(fd, _HEAD_BYTES, at).partition(b"\r\n\r\n")
        if not found:
            raise _wrong(f"the headers at byte {at} do not end")
        start = at + len(head) + 4
        end = _find(fd, b"\r\n" + delimiter, start)
        if end is None:
            raise _wrong("its end is missing")
        parts.append(_part(fd, head, start, end))
        at = end + 2 + len(delimiter)
    return parts


def _find(fd: int, text: bytes, at: int) -> int | None:
    """Return where a text comes next, searched piece by piece."""
    while piece := os.pread(fd, _PIECE_BYTES, at):
        if (found := piece.find(text)) >= 0:
            return at + found
        if len(piece) < len(text):
            return None
        at += len(piece) - len(text) + 1  # it may begin at the end of this one
    return None


def _part(fd: int, head: bytes, start: int, end: int) -> Part:
    found = [match for line in head.split(b"\r\n") if (match := _DISPOSITION.match(line))]
    if len(found) != 1:
        raise _wrong(f"the part at byte {start} has no Content-Disposition of a form")
    parameters = {key.lower(): value for key, value in _PARAMETER.findall(found[0][1])}
    try:
        name = parameters[b"name"].decode()
        filename = parameters[b"filename"].decode() if b"filename" in parameters else None
        if filename is not None:
            return Part(name, filename, start, end - start)
        if end - start > _VALUE_BYTES:
            raise _wrong(f"the field {name!r:.80} has more than {_VALUE_BYTES} bytes")
        return Part(name, None, start, end - start, os.pread(fd, end - start, start).decode())
    except KeyError:
        raise _wrong(f"the part at byte {start} has no name") from None
    except UnicodeDecodeError:
        raise _wrong(f"the part at byte {start} is not UTF-8") from None


def _wrong(why: str) -> UsageError:
    return UsageError(f"expected a body of multipart/form-data, {why}")
