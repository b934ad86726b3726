"""The page: files that a browser gets, and nothing that knows a run.

Owns their names and addresses. An asset is known only by a name with a hash of all of them in it
(`page.1f2e3d4c5b6a.css`), so it may be cached for ever: who changes one file changes every
address, and a page never mixes two versions. A name with another hash is unknown, never a guess.
"""

from __future__ import annotations

import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

__all__ = ["asset", "list_page", "run_page", "with_imports_below"]

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def asset(name: str) -> tuple[str, bytes] | None:
    """Return the content type and the bytes of an asset; None if there is none of this name.

    What a name stands for never changes, so it may be cached for ever.
    """
    return _assets()[1].get(name)


def with_imports_below(data: bytes, folder: str) -> bytes:
    """Return a module that finds those which it imports below `folder`, not beside its own address."""
    return data.replace(b'"./', f'"{folder}/'.encode())


def list_page(root: str, first: str = "") -> bytes:
    """Return the page with the list of runs.

    Args:
        root: the path of the place that holds `/runs`.
        first: what to type in a terminal for a first run, shown while there is none.
    """
    return _fill("runs.html", root, first=first)


def run_page(root: str) -> bytes:
    """Return the page of one run, which finds out from its own address of which.

    A root that ends in `=` is a view's own URL: there is no list of runs, and nothing to be done.
    """
    return _fill("run.html", root)


@cache
def _assets() -> tuple[str, dict[str, tuple[str, bytes]]]:
    """Return the hash of all assets, and the assets by name."""
    read = {file.name: file.read_bytes() for file in files(__name__).iterdir() if _type(file.name)}
    hashed = hashlib.sha256()
    for name in sorted(read):
        hashed.update(f"{name}\0{len(read[name])}\0".encode() + read[name])
    version = hashed.hexdigest()[:12]
    assets = {}
    for name, data in read.items():
        for other in read:  # modules import each other by name, at the same version
            data = data.replace(f'"./{other}"'.encode(), f'"./{_versioned(other, version)}"'.encode())
        assets[_versioned(name, version)] = (_type(name), data)
    return version, assets


def _type(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2], "")


def _versioned(name: str, version: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{version}.{suffix}"


@cache
def _template(name: str) -> Template:
    return Template(files(__name__).joinpath(name).read_text(encoding="utf-8"))


def _fill(name: str, root: str, **texts: str) -> bytes:
    alone = " data-alone" if root.endswith("=") else ""
    escaped = {key: escape(text) for key, text in texts.items()}
    filled = _template(name).substitute(escaped, root=escape(root), alone=alone, v=_assets()[0])
    return filled.encode(errors="replace")  # a path that is no UTF-8 is shown, too
