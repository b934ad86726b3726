"""Which programs write colors when: each row of the table in docs/howto/colors.md, by running it."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runcast import Store
from tests.helpers.wait import MS

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "colors.md"
LONG = 60000 * MS
ROW = re.compile(r"^\| (.+?) \| (yes|no) \| (yes|no) \| (yes|no) \| (yes|no) \|", re.MULTILINE)
PYTHON = shlex.quote(sys.executable)
COMMANDS = {
    "git (`log`, `diff`, `status`)": ["git log", "git diff", "git status"],
    "`ls`, `grep`, `diff` with `--color=auto`": [
        *("ls --color=auto", "grep --color=auto two file", "diff --color=auto file other")
    ],
    "gcc": ["gcc wrong.c"],
    "`jq`": ["jq . value.json"],
    "ripgrep": ["rg two file"],
    "ruby (errors)": ["ruby -e raise"],
    "node": ["node -p 8080"],
    "pytest, ruff": [f"{PYTHON} -m pytest -q --co nowhere.py", f"{PYTHON} -m ruff check --no-cache wrong.py"],
    "mypy, pip": [
        f"{PYTHON} -m mypy --cache-dir=/dev/null wrong.py",
        f"{PYTHON} -m pip download no-such-package==0 --no-index",
    ],
    "rich": [f"{PYTHON} -c 'import rich; rich.print([1])'"],
    "`click.secho`": [f'{PYTHON} -c \'import click; click.secho("text", fg="red")\''],
}
"""The rows of the table, and what is run for each."""
WAYS: list[Mapping[str, Any]] = [{}, {"color": True}, {"tty": True}, {"tty": True, "color": False}]
"""Its columns."""


def rows() -> dict[str, list[str]]:
    """Return the rows of the table: yes or no for each way."""
    return {row[1]: list(row.groups()[1:]) for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))}


def test_rows():
    """Each row of the table is measured, and nothing else is."""
    assert list(rows()) == list(COMMANDS)


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a repository that has changes, and files with something wrong."""
    folder = tmp_path_factory.mktemp("colors")
    (folder / "folder").mkdir()
    (folder / "other").write_text("one\nthree\n")
    (folder / "file").write_text("one\n")
    (folder / "value.json").write_text('{"a": 1}')
    (folder / "wrong.c").write_text("int main(void) { return missing; }\n")
    (folder / "wrong.py").write_text('import os\nx: int = "text"\n')
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    (folder / "file").write_text("one\ntwo\n")
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_programs_color_as_the_table_says(
    store: Store, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    """On a pipe, with `color=True`, on a terminal, and there with `color=False`."""
    for variable in os.environ.keys() - {"PATH", "HOME", "LANG"}:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("TERM", "xterm-256color")
    for command in COMMANDS[name]:
        begun = [store.start(command, cwd=folder, timeout=LONG, **way) for way in WAYS]
        outputs = [run.output(encoding=None, check=False) for run in begun]

        assert all(outputs), command
        assert ["yes" if b"\x1b[" in output else "no" for output in outputs] == rows()[name], command


def test_a_script_gets_the_colors(store: Store):
    """What the page warns of: a script with `color=True` reads escape sequences where it expects a number."""
    script = "port=$(node -p 8000+80); printf '<%s>' \"$port\""

    assert store.start(script, shell=True).output() == "<8080>"
    assert store.start(script, shell=True, color=True).output() == "<\x1b[33m8080\x1b[39m>"
