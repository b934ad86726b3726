"""Real programs in a run's terminal: what they show there, what they ask, and the keys that they take."""

import contextlib
import functools
import http.server
import os
import re
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from runcast.model import Waiting
from tests.helpers.programs import program
from tests.helpers.terminals import DEADLINE, screen, shows
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow


def test_size(store: Store):
    """Programs that look for a size find it, whichever way they look."""
    python = "python3 -c 'import shutil; print(*shutil.get_terminal_size())'"
    look = f"stty size; tput cols; tput lines; tput colors; {python}"
    run = store.start(look, shell=True, tty=True, columns=111, rows=22)

    assert run.output(timeout=DEADLINE).split() == ["22", "111", "111", "22", "256", "111", "22"]


def test_colors_and_pagers(store: Store, tmp_path: Path):
    """git colors its log in a terminal and pages nothing: it ends by itself, however long the log is."""
    script = (
        "git init -q . && git config user.name x && git config user.email x@example.com && "
        'for n in $(seq 30); do git commit -q --allow-empty -m "commit $n"; done; git log'
    )
    for tty in (True, "stdout"):
        folder = tmp_path / str(tty)
        folder.mkdir()
        run = store.start(script, shell=True, tty=tty, cwd=folder)
        assert run.wait(timeout=DEADLINE).ok
        assert run.output().count("\x1b[33mcommit") == 30


def test_pager_that_is_asked_for(store: Store, tmp_path: Path):
    """A pager that the caller names does what it does in any terminal, and takes keys."""
    program("less")
    (tmp_path / "long").write_text("".join(f"line {n}\n" for n in range(100)))
    run = store.start(["sh", "-c", "$PAGER long; echo left"], tty=True, cwd=tmp_path, env={"PAGER": "less"})
    shows(run, "line 22")
    assert "line 23" not in screen(run)
    run.send(" ")
    shows(run, "line 45")
    run.send("q")

    shows(run, "left")
    assert run.wait(timeout=DEADLINE).ok


def test_top(store: Store):
    """A program that draws the whole screen draws it, in the new size after a resize, and ends by its key."""
    run = store.start(["top", "-d", "600"], tty=True)
    shows(run, "load average")
    run.resize(100, 30)
    wait_until(lambda: screen(run).count("load average") >= 2, DEADLINE, "the screen again")
    run.send("q")

    assert run.wait(timeout=DEADLINE).ok


def test_editor(store: Store, tmp_path: Path):
    """An editor is typed into, as a person would."""
    run = store.start([program("vim"), "-u", "NONE", "-n", "file"], tty=True, cwd=tmp_path)
    shows(run, "~")
    run.send("ione\rtwo")
    shows(run, "two")
    run.send("\x1b:wq\r")

    assert run.wait(timeout=DEADLINE).ok
    assert (tmp_path / "file").read_text() == "one\ntwo\n"


def test_prompt_of_python(store: Store):
    """Python is interactive in a terminal, and Ctrl-D leaves it."""
    run = store.start(["python3", "-q"], tty=True, env={"PYTHON_BASIC_REPL": "1"})
    shows(run, ">>> ")
    run.send("6 * 7\r")
    shows(run, "42")
    run.send("", eof=True)

    assert run.wait(timeout=DEADLINE).ok


@pytest.mark.parametrize("tty", [True, "stdout", False])
def test_password(store: Store, tty: bool | str):
    """A program that asks for a password does so in a terminal alone, and shows nothing of the answer."""
    command = [program("su"), "root", "-c", "true"]
    if os.geteuid() == 0:  # to whom nobody asks for a password
        command = [program("setpriv"), "--reuid", "65534", "--clear-groups", *command]
    run = store.start(command, tty=tty)
    if tty is True:
        shows(run, "assword: ")
        run.send("not the secret\r")

    assert run.wait(timeout=DEADLINE).code == 1
    assert "secret" not in screen(run)
    assert bool(re.search("assword: \r\n.*failure", screen(run), re.DOTALL)) is (tty is True)


@contextlib.contextmanager
def index(folder: Path, name: str, size: int) -> Iterator[str]:
    """Serve an index of packages with one wheel; give its address."""
    wheel = folder / "simple" / name / f"{name}-1-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.bin", bytes(size))
        archive.writestr(f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.dist-info/RECORD", "")
    handler = functools.partial(SilentHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()
        thread.join()


class SilentHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.mark.parametrize("tty", [True, False])
def test_pip(store: Store, tmp_path: Path, tty: bool):
    """pip draws its bar, in color, where its stdout is a terminal, and none where it is a pipe."""
    pip = [sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check"]
    with index(tmp_path, "wheeled", 2_000_000) as url:
        target = ["--target", str(tmp_path / "target"), "--no-cache-dir", "--index-url", url]
        run = store.start([*pip, "install", *target, "wheeled"], tty=tty)
        outcome = run.wait(timeout=DEADLINE)

    seen = screen(run)
    assert outcome.ok, seen
    assert (tmp_path / "target/wheeled.bin").exists()
    assert ("\x1b[?25l" in seen and "━" in seen) is tty


def test_npm(store: Store, tmp_path: Path):
    """npm asks one thing after the other, and the last words of each question are known."""
    env = {"HOME": str(tmp_path), "npm_config_update_notifier": "false"}  # which would wait for a server, too
    run = store.start([program("npm"), "init"], tty=True, cwd=tmp_path, env=env)
    asked = f"package name: ({tmp_path.name})"
    wait_until(lambda: run.waiting == Waiting("input", asked), DEADLINE, asked)
    run.send("chosen\r")
    wait_until(lambda: run.waiting == Waiting("input", "version: (1.0.0)"), DEADLINE, "the next question")
    run.send("\x03")

    run.wait(timeout=DEADLINE)
    assert "canceled" in screen(run)
