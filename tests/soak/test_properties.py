"""R17, R18 in full: every property of the suite, with far more examples than its short forms have."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = 10_000


def _properties() -> list[str]:
    """Return the files of unit tests that have properties."""
    found = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in found if "hypothesis import" in path.read_text()]


@pytest.mark.parametrize("path", _properties())
def test_properties(path: str, sized: Callable[[int], int], say: Callable[[str], None]):
    """R17, R18: readers, encoders, writers and parsers keep every byte, with 10,000 examples a property."""
    examples = max(sized(EXAMPLES), 20)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "hypothesis", "--timeout", "0", path],
        env=os.environ | {"RUNCAST_TEST_EXAMPLES": str(examples)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    say(f"{examples:,} examples each: {done.stdout.strip().splitlines()[-1]}")

    assert done.returncode == 0, done.stdout
