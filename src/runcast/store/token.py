"""The token: what a person or a program must know to be let in.

Owns where it comes from: given, or else made once and kept beside the runs, for nobody but the
user to read. It is kept so that a restart of the server, or another server for the same store,
breaks no open page, no bookmark and no script; removing the file makes a new one.
"""

from __future__ import annotations

import os
import re
import secrets

from runcast.errors import StoreUnusable, UsageError
from runcast.sysio.files import make_folders, open_own
from runcast.sysio.writes import write_once

__all__ = ["FILE", "SHORT", "checked", "kept_token"]

FILE = ".token"  # in the store; a leading dot: no run
BYTES = 24  # 192 bits, as 32 letters
SHORT = 16  # letters; a shorter token can be guessed
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,256}")  # what a Bearer token may hold (RFC 6750, section 2.1)


def checked(token: str, where: str) -> str:
    """Return a token that somebody chose.

    Raises:
        UsageError: it cannot be sent in a header, or can be guessed.
    """
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            f"expected {where} as {SHORT} to 256 letters, digits and -._~+/=, got {len(token)} characters"
        )
    if len(token) < SHORT:
        raise UsageError(
            f"expected {where} of at least {SHORT} characters, got {len(token)}: a shorter one can be guessed"
        )
    return token


def kept_token(store: str) -> str:
    """Return the token of a store; make one if it has none.

    Raises:
        StoreUnusable: the file is not the user's alone, or cannot be read or written.
    """
    path = f"{store}/{FILE}"
    try:
        if (token := _read(path)) is not None:
            return token
        make_folders(store)
        _make(path)
        token = _read(path)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise StoreUnusable(f"cannot keep the token in {path}: {said}: give one (RUNCAST_TOKEN)") from None
    assert token is not None, "the file was made, by us or by another server"
    return token


def _make(path: str) -> None:
    """Write a new token under its name; of several servers that start at once one wins, whole."""
    draft = f"{path}-{os.getpid()}-{secrets.token_hex(4)}"
    write_once(draft, path, f"{secrets.token_urlsafe(BYTES)}\n".encode())


def _read(path: str) -> str | None:
    try:
        fd = open_own(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        mode, text = os.fstat(fd).st_mode, os.read(fd, 1024).decode("latin-1").strip()
    finally:
        os.close(fd)
    if mode & 0o077:
        raise StoreUnusable(
            f"expected {path} to be a file that only this user can read, others can: "
            "they may know the token, so remove it for a new one"
        )
    if not _TOKEN.fullmatch(text):
        raise StoreUnusable(f"expected a token in {path}, got something else: remove it for a new one")
    if len(text) < SHORT:
        raise StoreUnusable(
            f"expected a token of at least {SHORT} characters in {path}, got {len(text)}: "
            "remove it for a new one"
        )
    return text
