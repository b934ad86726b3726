"""Write the table of programs that hold their output back into its page.

Run it when `src/runcast/hints/programs.toml` has changed. A test fails when the page is stale.
"""

import re
from collections.abc import Callable
from pathlib import Path

from runcast.hints.table import Program, programs

ROOT = Path(__file__).parents[1]
_TABLE = re.compile(
    r"(?<=<!-- made by scripts/held_output\.py -->\n).*?(?=<!-- end of what it made -->\n)", re.DOTALL
)
_HEAD = ("Program", "Measured", "On a pipe", "`line_buffered=True`", "On a terminal", "Instead")


def page(text: str) -> str:
    """Return docs/howto/held-output.md with the programs of the table."""
    rows = [(one.name, one.version, one.pipe, one.line_buffered, one.tty, _cure(one)) for one in programs()]
    lines = [f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in (_HEAD, *rows)]
    table = "".join([lines[0], "|---" * len(_HEAD), "|\n", *lines[1:]])
    result, count = _TABLE.subn(lambda _: table, text)
    if count != 1:
        raise ValueError(f"expected one place for the table, got {count}")
    return result


def _cure(program: Program) -> str:
    name = program.match[0] if program.match else ""
    return program.cure_of(name).replace("|", "\\|")


FILES: dict[Path, Callable[[str], str]] = {ROOT / "docs" / "howto" / "held-output.md": page}

if __name__ == "__main__":
    for path, made in FILES.items():
        path.write_text(made(path.read_text(encoding="utf-8")), encoding="utf-8")
