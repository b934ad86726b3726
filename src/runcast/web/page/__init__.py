"""The page: files that a browser gets, and nothing that knows a run.

Owns their names and addresses. An asset is known only by a name with a hash of all of them in it
(`page.1f2e3d4c5b6a.css`), so it may be cached for ever: who changes one file changes every
address, and a page never mixes two versions. A name with another hash is unknown, never a guess.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import quote

__all__ = ["asset", "element_module", "list_page", "run_page", "with_imports_below"]

_ELEMENT = "runcast-log.js"
_NAMED = re.compile(rb'"\./(?:assets/)?([\w.-]+(?:\?[^"]*)?)"')  # another asset, in a module
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


def with_imports_below(data: bytes, folder: str, query: str = "") -> bytes:
    """Return a module that finds those which it imports below `folder`, not beside its own address.

    Args:
        data: the module.
        folder: where the others are, a path or relative to the module; without a slash at its end.
        query: what each of their addresses gets as its query, such as the token of who may load them.
    """
    behind = f"?{quote(query, safe='=&%+,;:@/?!$*()~')}" if query else ""
    return _NAMED.sub(lambda named: f'"{folder}/{named[1].decode()}{behind}"'.encode(), data)


@cache
def element_module() -> bytes:
    """Return the module of the element `<runcast-log>` for a fixed address beside the folder `assets`.

    It names all modules that the element is made of, so that a browser fetches them side by side.
    """
    version, assets = _assets()
    found: dict[str, None] = {}
    names = [_versioned(_ELEMENT, version)]
    while names:
        name = names.pop()
        if name not in found and name.endswith(".js"):
            found[name] = None
            names += [other.decode() for other in _NAMED.findall(assets[name][1])]
    first, *others = (f'"./assets/{name}";\n' for name in found)
    return "".join([f"export * from {first}", *(f"import {other}" for other in others)]).encode()


def list_page(root: str, first: str = "", *, commands: bool = False) -> bytes:
    """Return the page with the list of runs.

    Args:
        root: the path of the place that holds `/runs`.
        first: what to type in a terminal for a first run, shown while there is none.
        commands: whether there is something to start.
    """
    return _fill("runs.html", root, first=first, may="commands" if commands else "")


def run_page(root: str, may: Iterable[str] = ()) -> bytes:
    """Return the page of one run, which finds out from its own address of which.

    Args:
        root: the path of the place that holds `/runs`. One that ends in `=` is a view's own URL.
        may: what the client may do besides reading: `list`, `stop`, `rerun`, `delete`, and start `commands`.
    """
    return _fill("run.html", root, may=" ".join(may))


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
    escaped = {key: escape(text) for key, text in texts.items()}
    filled = _template(name).substitute(escaped, root=escape(root), v=_assets()[0])
    return filled.encode(errors="replace")  # a path that is no UTF-8 is shown, too
