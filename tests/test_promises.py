"""The page of promises is true: each has its tests, and these are there."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "explanation" / "promises.md").read_text()
PROMISED, _, NOT_YET = PAGE.partition("\n## Not yet\n")
PARTS = {
    part.split(" ", 1)[0]: part.split("\n## ")[0]
    for part in re.split(r"^### ", PROMISED, flags=re.MULTILINE)[1:]
}
ALL = {*(f"R{number}" for number in range(1, 30)), *(f"T{number}" for number in range(1, 18))}
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@functools.cache
def functions(path: str) -> set[str]:
    """Return the tests of a module."""
    tree = ast.parse((ROOT / path).read_text())
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def line(part: str, name: str) -> str:
    """Return what a promise says under a name."""
    found = re.search(rf"^- {name}: (.*(?:\n  .*)*)", part, flags=re.MULTILINE)
    return found[1] if found else ""


def test_every_promise_is_told_once():
    """Each number is that of one promise, or of one thing that is not promised yet."""
    told = re.findall(r"^### ([RT]\d+) ", PROMISED, flags=re.MULTILINE)
    later = re.findall(r"\b[RT]\d+\b", re.sub(r"R1 to R7|masking of T11", "", NOT_YET))

    assert len(told) == len(set(told))
    assert len(later) == len(set(later))
    assert set(told) | set(later) == ALL
    assert not set(told) & set(later)


@pytest.mark.parametrize("number", PARTS)
def test_every_promise_has_its_tests(number: str):
    """A promise says its fault and its target; each test that it names is there, the large ones in soak."""
    part = PARTS[number]
    tests, soak = TEST.findall(line(part, "Tests")), TEST.findall(line(part, "Soak"))

    assert line(part, "Fault")
    assert line(part, "Target")
    assert tests
    assert [one for one in [*tests, *soak] if one[1] not in functions(one[0])] == []
    assert not [path for path, _ in tests if path.startswith("tests/soak/")]
    assert all(path.startswith("tests/soak/") for path, _ in soak)
    assert TEST.findall(part) == tests + soak


def test_every_soak_test_is_named():
    """No test of `make soak` is there for no promise."""
    named = {one for part in PARTS.values() for one in TEST.findall(part)}
    paths = [str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "soak").glob("test_*.py")]
    there = {(path, name) for path in paths for name in functions(path) if name.startswith("test_")}

    assert sorted(there - named) == []
