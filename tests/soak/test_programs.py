"""Programs from the registries, in a run's terminal: those that take too long to install for the suite."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.model import Waiting
from tests.helpers.programs import program
from tests.helpers.terminals import screen, shows
from tests.helpers.wait import MS, wait_until

LONG = 60000 * MS
INSTALL_SECONDS = 600
WATCHED = """
import { test, expect } from "vitest";
test("adds", () => expect(1 + 1).toBe(2));
test("waits", () => new Promise(done => setTimeout(done, 1000)));
"""
GREETS = """
from textual.app import App
from textual.widgets import Input, Static

class Greets(App):
    def compose(self):
        yield Input(placeholder="Name?")
        yield Static("nobody", id="greeting")

    def on_input_submitted(self, event):
        size = f"{self.size.width}x{self.size.height}"
        self.query_one("#greeting").update(f"{event.value}@{size}")

Greets().run()
print("left")
"""


@pytest.fixture(name="python", scope="module")
def python_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a Python that has IPython and textual."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=INSTALL_SECONDS)
    install = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, "ipython", "textual"], check=True, timeout=INSTALL_SECONDS)
    return folder / "bin/python"


def ended(run: Run) -> None:
    """Wait until a program has ended well."""
    outcome = run.wait(timeout=LONG)
    assert outcome.ok, screen(run)


def test_ipython(store: Store, python: Path, tmp_path: Path):
    """IPython's questions to its terminal have replies, so it warns of nothing; it takes keys and a size."""
    env = {"IPYTHONDIR": str(tmp_path)}
    run = store.start([str(python), "-m", "IPython", "--no-banner"], tty=True, env=env)
    wait_until(lambda: run.waiting == Waiting("input", "In [1]:"), LONG, "the prompt")
    run.send("import shutil; shutil.get_terminal_size()\r")
    shows(run, "columns=80, lines=24")
    shows(run, "[\x1b[0;92;1m2")
    run.resize(100, 30)
    run.send("shutil.get_terminal_size()\r")
    shows(run, "columns=100, lines=30")
    wait_until(lambda: run.waiting == Waiting("input", "In [3]:"), LONG, "the prompt")
    run.send("\x04")
    shows(run, "Do you really want to exit")
    run.send("y\r")

    ended(run)
    assert "CPR" not in screen(run)


def test_textual(store: Store, python: Path):
    """An application of textual is typed into, takes a new size, and leaves the screen as it was."""
    run = store.start([str(python), "-c", GREETS], tty=True)
    shows(run, "nobody")
    run.resize(90, 30)
    wait_until(lambda: run.size is not None and run.size.columns == 90, LONG, "the size")
    run.send("Ada\r")
    wait_until(lambda: "Ada@90x30" in screen(run) or run.send("\r"), LONG, "the greeting")
    run.send("\x11")

    shows(run, "left")
    ended(run)
    assert screen(run).rfind("\x1b[?1049l") > screen(run).rfind("\x1b[?1049h") >= 0


def test_vitest(store: Store, tmp_path: Path, say: Callable[[str], None]):
    """vitest draws its summary anew while tests run, then watches its files and waits for a key."""
    begun = time.monotonic()
    (tmp_path / "package.json").write_text('{"private": true}')
    (tmp_path / "sum.test.js").write_text(WATCHED)
    install = [program("npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "vitest"]
    subprocess.run(install, check=True, cwd=tmp_path, timeout=INSTALL_SECONDS)
    say(f"installed in {time.monotonic() - begun:.0f} s")
    run = store.start(["node_modules/.bin/vitest", "--watch"], tty=True, cwd=tmp_path, env={"CI": ""})
    shows(run, "Waiting for file changes")
    assert "\x1b[1A" in screen(run)
    run.send("q")

    ended(run)
