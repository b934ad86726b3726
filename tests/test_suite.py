"""The repository in numbers, and what no test may do."""

import re
import statistics
from pathlib import Path

TESTS = Path(__file__).parent
SKIPS = re.compile(r"\b(?:pytest\.skip|mark\.skip|mark\.skipif|importorskip|skipTest)\b")


def test_modules_stay_small():
    """Half of the modules of runcast have less than 120 lines; `test_imports.py` bounds the largest."""
    lines = [path.read_text().count("\n") for path in (TESTS.parent / "src").rglob("*.py")]

    assert statistics.median(lines) < 120


def test_nothing_is_skipped():
    """A test runs or fails: where something is missing, it says what to install, or is marked `root`."""
    skipping = [
        f"{path.relative_to(TESTS)}:{number}"
        for path in sorted(TESTS.rglob("*.py"))
        if "node_modules" not in path.parts and path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SKIPS.search(line)
    ]

    assert skipping == []
