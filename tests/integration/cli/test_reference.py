"""The reference page of the command line is made from its help."""

import subprocess
import sys
from pathlib import Path

from tests.helpers.cli import LONG

ROOT = Path(__file__).parents[3]


def test_page_is_fresh():
    """docs/reference/command-line.md is what the verbs say now."""
    script = "scripts/command_line_reference.py"
    done = subprocess.run(
        [sys.executable, script, "-"], cwd=ROOT, capture_output=True, timeout=LONG, check=True, text=True
    )

    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert page == done.stdout, f"stale: run `python {script}`"
