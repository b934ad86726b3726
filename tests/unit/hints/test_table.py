"""The table of programs: its entries, and the page that is made from it."""

from pathlib import Path

import pytest

from runcast.hints.table import AT_END, AT_ONCE, NO_START, programs
from scripts.held_output import FILES


def test_entries():
    """Each entry says of each way when output comes; what holds it back has a cure, and no name is twice."""
    matches = [pattern for program in programs() for pattern in program.match]

    assert len(set(matches)) == len(matches)
    for program in programs():
        assert {program.pipe, program.line_buffered, program.tty} <= {AT_ONCE, AT_END, NO_START}
        assert program.cure or program.pipe == AT_ONCE


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_page(path: Path):
    """The page has the table as it is now."""
    text = path.read_text(encoding="utf-8")

    assert FILES[path](text) == text, "stale: run `python scripts/held_output.py`"
