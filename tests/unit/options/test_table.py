"""The table of start options: complete for editors, described everywhere, and the only place that has it."""

import re
from pathlib import Path

import pytest

from runcast.options import OPTIONS, Option, add, typed
from runcast.options.types import TEXT
from scripts.start_options import FILES

SOURCE = Path(__file__).parents[3] / "src" / "runcast"
MOST = 6
# Words of other things, too, such as `wait(timeout=)`: these count where they are texts in the code.
WORDS = {
    *("ahead", "cap", "cwd", "input", "keep", "kwargs", "limits", "mask", "payload", "process", "programs"),
    *("shell", "timeout"),
}
# What a run, an outcome, a message to a run or Python's `errors=` has by the same name: nothing to count.
OF_RUNS = {"check", "columns", "env", "key", "name", "params", "replace", "rows", "stdin", "traceback", "tty"}
OF_RUNS |= {"artifacts", "queue", "user", "view"}


def modules_that_name(option: str) -> list[str]:
    """Return the modules in which an option stands: in code, texts and comments."""
    word = re.compile(rf"[\"']{option}[\"']" if option in WORDS else rf"\b{option}\b")
    paths = [path for path in SOURCE.rglob("*.py") if word.search(path.read_text(encoding="utf-8"))]
    return [str(path.relative_to(SOURCE)) for path in sorted(paths)]


@pytest.mark.parametrize("option", sorted(OPTIONS.keys() - OF_RUNS))
def test_name_stands_in_few_modules(option: str):
    """An option's name stands in six modules at most, comments included."""
    assert len(modules_that_name(option)) <= MOST, modules_that_name(option)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (typed.StartOptions, {one.name for one in OPTIONS.values()}),
        (typed.BlockOptions, {one.name for one in OPTIONS.values() if one.block}),
        (typed.RecordOptions, {one.name for one in OPTIONS.values() if one.block}),
        (typed.CommandOptions, {one.name for one in OPTIONS.values() if one.of_command}),
        (typed.ServerOptions, {one.name for one in OPTIONS.values() if one.body} - {"name"}),
        (typed.StreamOptions, OPTIONS.keys() - {"params", "view"} | {"interval"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_editors_know_all(keys: type, names: set[str]):
    """What type checkers and editors know of each way to start is what the table says."""
    assert keys.__annotations__.keys() == names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_fresh(path: Path):
    """The description and the reference have the options of the table, and no others."""
    text = path.read_text(encoding="utf-8")

    assert FILES[path](text) == text, "stale: run `python scripts/start_options.py`"


def test_name_of_its_own():
    """A second option of a name is refused, and the first one stays."""
    first = OPTIONS["name"]
    with pytest.raises(ValueError, match="there is one called name"):
        add(Option("name", TEXT, "another"))

    assert OPTIONS["name"] is first


def test_kept_where_supervised():
    """What a supervisor gets `run.json` has, too; and a server takes no more than it can send as JSON."""
    assert all(one.kept for one in OPTIONS.values() if one.supervised)
    from_nowhere_else = {one.name for one in OPTIONS.values() if one.of_command and not one.body}
    assert from_nowhere_else == {"nice", "limits", "user", "on_end"}  # never from the web
