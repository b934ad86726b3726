"""Write the registry of wire forms into the reference and the description of the HTTP API.

Run it when `runcast.wire.forms` has changed. A test fails when one of the files is stale.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from runcast.wire.forms import FORMS, Form

ROOT = Path(__file__).parents[1]
_TABLE = re.compile(r"(?<=\| `Accept` \| `\?format=` \| you get \|\n\|---\|---\|---\|\n)(?:\|.*\n)+")
_CONTENT_TYPES = re.compile(r"(?<=\| `Content-Type` \| ).*(?= \| \|\n)")
_NAMES = re.compile(r'(?<="name": "format", "in": "query", "schema": \{"type": "string", "enum": )\[.*?\]')
_CONTENT = re.compile(r'("operationId": "readLog",.*?"content": \{\n).*?\n(?= +\}\n)', re.DOTALL)


def table(page: str = "") -> str:
    """Return the rows of the table of forms; `page` has the sections that they link to."""
    rows = []
    first: dict[str, Form] = {}
    for form in FORMS.values():
        accept = f"`{form.media_type}`" if form.media_type else "a WebSocket"
        if form.subprotocol:
            accept += f" that offers `{form.subprotocol}`"
        if not rows:  # the first is for a client that takes all equally
            accept += ", `*/*`, no header"
        if form.instead_of:
            accept += f" with `?format={form.instead_of}`"
        elif first.setdefault(form.media_type, form) is not form:
            accept = ""  # only its name selects it
        name = f"`{form}`" if form.media_type else ""
        rows.append(f"| {accept} | {name} | {form.summary} |".replace("|  |", "| |"))
    return "\n".join(rows).replace("](#", f"]({page}#") + "\n"


def wire_page(text: str) -> str:
    """Return docs/reference/wire.md with the forms of the registry."""
    types = dict.fromkeys(form.content_type for form in FORMS.values() if form.media_type)
    text = _put(_CONTENT_TYPES, ", ".join(f"`{one}`" for one in types), text)
    return _put(_TABLE, table(), text)


def http_page(text: str) -> str:
    """Return docs/reference/http.md with the forms of the registry."""
    return _put(_TABLE, table("wire.md"), text)


def description(text: str) -> str:
    """Return openapi.json with the forms of the registry."""
    forms = [form for form in FORMS.values() if form.media_type]
    content: dict[str, str] = {}
    for form in forms:
        content.setdefault(form.media_type, json.dumps({"schema": form.schema} if form.schema else {}))
    lines = (f"{' ' * 14}{json.dumps(name)}: {said}" for name, said in content.items())
    text = _put(_NAMES, json.dumps([form.name for form in forms]), text)
    return _put(_CONTENT, ",\n".join(lines) + "\n", text)


def _put(place: re.Pattern[str], said: str, text: str) -> str:
    """Return a text with something else where a pattern matches; groups are what stands before it."""
    result, count = place.subn(lambda found: "".join(found.groups()) + said, text)
    if count != 1:
        raise ValueError(f"expected one place for the forms, got {count}: {place.pattern}")
    return result


FILES: dict[Path, Callable[[str], str]] = {
    ROOT / "docs" / "reference" / "wire.md": wire_page,
    ROOT / "docs" / "reference" / "http.md": http_page,
    ROOT / "src" / "runcast" / "server" / "openapi.json": description,
}

if __name__ == "__main__":
    for path, made in FILES.items():
        path.write_text(made(path.read_text(encoding="utf-8")), encoding="utf-8")
