"""Write the table of start options into the reference and the description of the HTTP API.

Run it when `runcast.options.table` has changed. A test fails when one of the files is stale.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from runcast.options import ANYTHING, OPTIONS, TAKERS, Option
from runcast.options.types import BYTES

ROOT = Path(__file__).parents[1]
_TABLE = re.compile(
    r"(<!-- made by scripts/start_options\.py -->\n).*?(?=<!-- end of what it made -->\n)", re.DOTALL
)
_BODY = re.compile(
    r'(?<="command": \{"\$ref": "#/components/schemas/Command"\}, )".*?(?=\}, "additionalProperties")'
)


def python_page(text: str) -> str:
    """Return docs/reference/python.md with the options of `Store.start`."""
    rows = (
        (
            f"`{one.name}`",
            f"`{one.type.python}`",
            _default(one),
            _takers(one),
            f"{one.summary} {one.more}".rstrip(),
        )
        for one in OPTIONS.values()
    )
    return _put(_TABLE, _table(("Option", "Type", "Default", "Of", "Means"), rows), text)


def http_page(text: str) -> str:
    """Return docs/reference/http.md with what may stand in the body of a start."""
    rows = ((f"`{one.body}`", one.type.json_words, one.summary) for one in OPTIONS.values() if one.body)
    return _put(_TABLE, _table(("Member", "Is", "Means"), rows), text)


def configuration_page(text: str) -> str:
    """Return docs/reference/configuration.md with the options of a named command."""
    rows = (
        (f"`{one.name}`", one.type.toml_words, _default(one, toml=True), one.summary)
        for one in OPTIONS.values()
        if one.of_command
    )
    return _put(_TABLE, _table(("Key", "Is", "Default", "Means"), rows), text)


def disk_page(text: str) -> str:
    """Return docs/reference/on-disk-format.md with the options that `run.json` has."""
    rows = ((f"`{one.name}`", one.kept_words, one.summary) for one in OPTIONS.values() if one.kept)
    return _put(_TABLE, _table(("Key", "Is", "Means"), rows), text)


def description(text: str) -> str:
    """Return openapi.json with what may stand in the body of a start."""
    members = {one.body: _schema(one) for one in OPTIONS.values() if one.body}
    return _put(_BODY, json.dumps(members)[1:-1], text)


def _schema(option: Option) -> dict[str, object]:
    described = {"description": option.summary[0].upper() + option.summary[1:]}
    return {
        **option.type.schema,
        **({} if option.default is None else {"default": option.default}),
        **described,
    }


def _takers(option: Option) -> str:
    if option.takers == ANYTHING:
        return "all, `attach`" if option.block else "all"
    return TAKERS[option.takers].replace("process=True", "`process=True`") + (
        ", `attach`" if option.block else ""
    )


def _default(option: Option, *, toml: bool = False) -> str:
    if option.type is BYTES and option.default is not None:
        return f'`"{option.default >> 30}G"`'
    if option.default is None:
        return "none" if toml else "`None`"
    return f"`{str(option.default).lower() if toml else option.default}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(one.replace('|', chr(92) + '|') for one in row)} |\n" for row in (head, *rows)]
    return "".join([lines[0], "|---" * len(head), "|\n", *lines[1:]])


def _put(place: re.Pattern[str], made: str, text: str) -> str:
    """Return a text with something else where a pattern matches; groups are what stands before it."""
    result, count = place.subn(lambda found: "".join(found.groups()) + made, text)
    if count != 1:
        raise ValueError(f"expected one place for the options, got {count}: {place.pattern}")
    return result


_REFERENCE = ROOT / "docs" / "reference"
FILES: dict[Path, Callable[[str], str]] = {
    _REFERENCE / "python.md": python_page,
    _REFERENCE / "http.md": http_page,
    _REFERENCE / "configuration.md": configuration_page,
    _REFERENCE / "on-disk-format.md": disk_page,
    ROOT / "src" / "runcast" / "server" / "openapi.json": description,
}

if __name__ == "__main__":
    for path, made in FILES.items():
        path.write_text(made(path.read_text(encoding="utf-8")), encoding="utf-8")
