"""What is not captured: each row of the table in docs/reference/capture.md, and its cure."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.wait import MS
from tests.integration import uncaptured

TABLE = Path(__file__).parents[2] / "docs" / "reference" / "capture.md"
ROWS = re.findall(r"^\| (?!What prints|-)(.+?) \| (.+?) \| (.+?) \|$", TABLE.read_text(), re.MULTILINE)


def test_rows_are_cases():
    """The table has a row for each case, in the same order, and no other."""
    assert [what for what, _, _ in ROWS] == [case.what for case in uncaptured.CASES]


def tried(number: int, word: str, folder: Path) -> tuple[str, str]:
    """Return what the run has that should have it, and what the process printed."""
    found = folder / f"{word}.json"
    environment = os.environ | {"RUNCAST_STORE": str(folder / "store")}
    environment.pop("PYTHONUNBUFFERED", None)  # which has text that was not captured pass where bytes are
    done = subprocess.run(
        [sys.executable, str(Path(uncaptured.__file__)), str(number), word, str(found)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60_000 * MS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(found.read_text()), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ROWS)), ids=[re.sub(r"\W+", "-", row[0])[:40] for row in ROWS])
def test_row(number: int, tmp_path: Path):
    """A line of this kind goes where the table says, and with the cure it is in the run."""
    _, where, _ = ROWS[number]
    lost, printed = tried(number, "lost", tmp_path)

    assert "lost" not in lost
    assert ("lost" in printed) is where.startswith("the process's stdout")

    cured, printed = tried(number, "cured", tmp_path)

    assert "cured" in cured
    assert printed == ""
