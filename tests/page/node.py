"""The page's modules, run by node: what is fed to a terminal, and the rows that it makes of it."""

import json
import subprocess
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.helpers.wait import MS

HERE = Path(__file__).parent
LONG = 60000 * MS


class Row(NamedTuple):
    """One row: its text, pairs of a text and the classes of its style, the line that began it, its links."""

    text: str
    spans: list[tuple[str, str]]
    line: int
    links: list[tuple[str, str]]


def node(script: str, value: object) -> Any:
    """Return what one of the scripts prints about a value."""
    __tracebackhide__ = True
    assert (HERE / "node_modules").is_dir(), "expected xterm.js: run `make page` once"
    done = subprocess.run(
        ["node", str(HERE / script)],
        input=json.dumps(value),
        capture_output=True,
        check=False,
        text=True,
        timeout=LONG,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def call(module: str, name: str, *calls: Sequence[Any]) -> list[Any]:
    """Return what a function of a module returns for each list of arguments."""
    made: list[Any] = node("call.mjs", {"module": module, "name": name, "calls": calls})
    return made


def printed(name: str) -> str:
    """Return what a tool printed."""
    return (HERE / "printed" / f"{name}.txt").read_text(encoding="utf-8")


def case(*pieces: str | bytes | tuple[int, int], size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return what `play.mjs` takes: pieces of output, the size of a terminal, and its changes."""
    made = [
        {"columns": piece[0], "rows": piece[1]} if isinstance(piece, tuple) else _base64(piece)
        for piece in pieces
    ]
    told = {"columns": size[0], "rows": size[1]} if size else {}
    return {"pieces": made, **told}


def _base64(piece: str | bytes) -> str:
    return b64encode(piece.encode() if isinstance(piece, str) else piece).decode()


def play(cases: list[dict[str, Any]]) -> list[list[Row]]:
    """Return the rows of each case."""
    made = node("play.mjs", cases)
    return [
        [
            Row(
                "".join(text for text, _ in row["spans"]),
                [tuple(span) for span in row["spans"]],
                row["line"],
                [tuple(link) for link in row["links"]],
            )
            for row in rows
        ]
        for rows in made
    ]


def rows_of(*outputs: str | bytes, size: tuple[int, int] | None = None) -> list[list[str]]:
    """Return the texts of the rows that each output makes."""
    played = play([case(output, size=size) for output in outputs])
    return [[row.text for row in rows] for rows in played]
