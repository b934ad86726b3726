"""What of a run is on the shelf: the form of its objects, with lengths and checksums.

    <id[:5]>/<id>/run            the manifest, kept last: a run is on the shelf when this is
    <id[:5]>/<id>/<start>        of a large run: the bytes of a segment, as `log/<start>` has them
    <id[:5]>/<id>/<start>.index  … and its index

    manifest   a line: an object with `format`, `bytes` and `sha256` of all that follows
               a line: an object with what `Manifest` has
               of a small run: index and bytes of each segment, one after the other

A segment is described in pieces of some 4 MiB, each with its own checksum, so one can be fetched alone.
Nothing that is fetched is believed before its checksum was seen to. The format is described in
docs/reference/on-disk-format.md.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from runcast.errors import FormatTooNew, ShelfDamaged
from runcast.json_objects import parse_object
from runcast.log.segments import segment_name
from runcast.shelf.base import Shelf

__all__ = ["FORMAT", "KeptSegment", "Manifest", "Piece", "checked", "fetch_manifest", "folder_of", "sum_of"]

FORMAT: Final = 1
_MOST = 2**63  # of offsets and counts


class Piece(NamedTuple):
    """Part of a segment.

    Attributes:
        start: the offset at which it begins.
        bytes: how many it has.
        lines: how many line feeds the log has up to its end.
        records: how many records of the index begin in it.
        sha256: of its bytes.
    """

    start: int
    bytes: int
    lines: int
    records: int
    sha256: str

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.start + self.bytes


class KeptSegment(NamedTuple):
    """A segment of a log.

    Attributes:
        start: the offset at which it begins.
        index_bytes: how many its index file has.
        index_sha256: of these.
        pieces: of its bytes, in order; none of an empty one, which marks where a gap ends.
    """

    start: int
    index_bytes: int
    index_sha256: str
    pieces: tuple[Piece, ...]

    @property
    def bytes(self) -> int:
        """How many bytes it has."""
        return sum(piece.bytes for piece in self.pieces)


class Manifest(NamedTuple):
    """A run that is on the shelf.

    Attributes:
        run_id: its id.
        request, outcome, state, progress: the small files of the run, as a link has them.
        segments: those of its log, in order.
        inline: index and bytes of each segment; None where they are objects of their own.
    """

    run_id: str
    request: bytes
    outcome: bytes
    state: bytes
    progress: bytes
    segments: tuple[KeptSegment, ...]
    inline: bytes | None = None

    def encode(self) -> bytes:
        """Return the object."""
        texts = {name: _text(getattr(self, name)) for name in _TEXTS}
        described = {"id": self.run_id, **texts, "segments": self.segments, "inline": self.inline is not None}
        body = json.dumps(described).encode() + b"\n" + (self.inline or b"")
        head = {"format": FORMAT, "bytes": len(body), "sha256": sum_of(body)}
        return json.dumps(head).encode() + b"\n" + body

    @classmethod
    def decode(cls, data: bytes, run_id: str) -> Manifest:
        """Return what an object says.

        Raises:
            ShelfDamaged: it is not what was kept.
            FormatTooNew: a later runcast kept it.
        """
        head, _, body = data.partition(b"\n")
        try:
            known = parse_object(head)
            if known["format"] != FORMAT:
                raise FormatTooNew(
                    f"the shelf has run {run_id} in format {known['format']!r:.20}, this runcast knows "
                    f"{FORMAT}: upgrade runcast"
                )
            if known["bytes"] != len(body):
                raise ValueError(f"expected {known['bytes']} bytes, got {len(body)}")
            if known["sha256"] != sum_of(body):
                raise ValueError("expected the checksum that it was kept with, got another one")
            line, _, inline = body.partition(b"\n")
            value = parse_object(line)
            if value["id"] != run_id:
                raise ValueError(f"expected the run, got {value['id']!r:.40}")
            texts = {name: value[name].encode(errors="surrogateescape") for name in _TEXTS}
            segments = tuple(_segment(one) for one in value["segments"])
            return cls(run_id, **texts, segments=segments, inline=inline if value["inline"] else None)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ShelfDamaged(f"the manifest of run {run_id} on the shelf is damaged: {error}") from None

    def name_of(self, start: int, suffix: str = "") -> str:
        """Return the name of the object that has a segment."""
        return f"{folder_of(self.run_id)}/{segment_name(start)}{suffix}"

    def index_of(self, shelf: Shelf, segment: KeptSegment) -> bytes:
        """Return the index of a segment.

        Raises:
            ShelfError: it is not what was kept, or cannot be had.
        """
        if self.inline is not None:
            at = self._at(segment)
            return self.inline[at : at + segment.index_bytes]
        if not segment.index_bytes:
            return b""
        name = self.name_of(segment.start, ".index")
        return checked(shelf.fetch(name, 0, segment.index_bytes), segment.index_sha256, name)

    def data_of(self, shelf: Shelf, segment: KeptSegment, piece: Piece) -> bytes:
        """Return the bytes of a piece.

        Raises:
            ShelfError: they are not what was kept, or cannot be had.
        """
        name, at = self.name_of(segment.start), piece.start - segment.start
        if self.inline is not None:
            at += self._at(segment) + segment.index_bytes
            return checked(self.inline[at : at + piece.bytes], piece.sha256, name)
        return checked(shelf.fetch(name, at, piece.bytes), piece.sha256, name)

    def _at(self, segment: KeptSegment) -> int:
        return sum(one.index_bytes + one.bytes for one in self.segments if one.start < segment.start)


_TEXTS: Final = ("request", "outcome", "state", "progress")


def folder_of(run_id: str) -> str:
    """Return what the names of a run's objects begin with; a folder has the runs of nine hours."""
    return f"{run_id[:5]}/{run_id}"


def fetch_manifest(shelf: Shelf, run_id: str) -> Manifest:
    """Return the manifest of a run.

    Raises:
        ShelfMissing: the run is not on the shelf.
        ShelfError: it cannot be had, or is not what was kept.
        FormatTooNew: a later runcast kept it.
    """
    return Manifest.decode(shelf.fetch(f"{folder_of(run_id)}/run"), run_id)


def sum_of(data: bytes) -> str:
    """Return the checksum of bytes, as `sha256sum` prints it."""
    import hashlib  # loads OpenSSL: 4 MB that an agent without a shelf does not need

    return hashlib.sha256(data).hexdigest()


def checked(data: bytes, sha256: str, name: str) -> bytes:
    """Return bytes, if they are those that were kept.

    Raises:
        ShelfDamaged: they are not.
    """
    if sum_of(data) != sha256:
        raise ShelfDamaged(
            f"expected the bytes that were kept as {name} on the shelf, got others: it was changed"
        )
    return data


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _segment(value: Any) -> KeptSegment:
    start, index, index_sha256, pieces = value
    found = tuple(Piece(*one) for one in pieces)
    counts = [start, index, *(count for piece in found for count in piece[:4])]
    if any(type(count) is not int or not 0 <= count < _MOST for count in counts):
        raise ValueError(f"expected offsets and counts, got {value!r:.80}")
    for piece in found:
        if piece.start != start or not piece.bytes:
            raise ValueError(f"expected a piece of {start}, got one of {piece.start}")
        start = piece.end
    return KeptSegment(value[0], index, index_sha256, found)
