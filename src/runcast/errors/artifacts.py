"""Errors of files that are kept with runs."""

from __future__ import annotations

from runcast.errors.root import RuncastError

__all__ = ["ArtifactAway", "ArtifactNotFound"]


class ArtifactNotFound(RuncastError, LookupError):
    """The run has no file of this name: it never had, or has not ended."""

    http_status = 404


class ArtifactAway(RuncastError):
    """A file that is kept with a run of another host, and not on this disk.

    Attributes:
        comes: the folder of the run and the number of the file, where it is being brought; else None.
    """

    http_status = 503

    def __init__(self, message: str, comes: tuple[str, int] | None = None) -> None:
        super().__init__(message)
        self.comes = comes
