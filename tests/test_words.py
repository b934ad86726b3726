"""The words of the code: plain technical English, held by a count that may only fall."""

import re
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"
LIMIT = 2
"""How often the words below occur in src. Lower it with each sentence that is improved, never raise it."""

_VAGUE = re.compile(r"\b(told|asked|whoever)\b", re.IGNORECASE)
_OUTSIDE = re.compile(r"section \d+ of the design|\b(?:DESIGN|PROMISES|PERFORMANCE)\b|\bR\d{1,2}\b")
_SUFFIXES = {".py", ".js", ".html", ".json", ".css"}


def _files() -> list[Path]:
    return sorted(path for path in SRC.rglob("*") if path.suffix in _SUFFIXES)


def test_vague_words():
    """A sentence names its subject and its action: the words that replace them do not become more."""
    counts = {path: len(_VAGUE.findall(path.read_text(encoding="utf-8"))) for path in _files()}

    worst = sorted(counts, key=lambda path: counts[path], reverse=True)[:5]
    assert sum(counts.values()) <= LIMIT, {str(path.relative_to(SRC)): counts[path] for path in worst}


def test_no_reference_outside():
    """A comment points to nothing that a reader of the repository does not have."""
    found = [
        f"{path.relative_to(SRC)}:{number}: {line.strip()}"
        for path in _files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _OUTSIDE.search(line)
    ]

    assert not found, found
