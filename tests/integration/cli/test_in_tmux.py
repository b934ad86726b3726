"""`runcast run -it` and `attach` in tmux: the picture that a person sees, and the terminal that is left."""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.cli import LONG, RUNCAST
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow

FLAGS = "#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{keypad_flag} #{mouse_any_flag} #{wrap_flag}"
AS_USUAL = "0 1 0 0 0 1"


class Pane:
    """A pane of tmux with a shell in it."""

    def __init__(self, folder: Path) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        # tmux runs its commands with the environment of its server.
        environment = os.environ | {"TERM": "xterm-256color"}
        size = ["-x", "80", "-y", "24"]
        subprocess.run(
            [*self._tmux, "new-session", "-d", *size, "exec env 'PS1=shell> ' bash --norc --noprofile"],
            check=True,
            timeout=LONG,
            env=environment,
        )
        self.shows("shell>")

    def tmux(self, *arguments: object) -> str:
        """Return what a command of tmux prints."""
        command = [*self._tmux, *map(str, arguments)]
        return subprocess.run(command, check=True, timeout=LONG, capture_output=True, text=True).stdout

    def type(self, text: str, *keys: str) -> None:
        """Type a text, and then keys by their names."""
        if text:
            self.tmux("send-keys", "-l", text)
        if keys:
            self.tmux("send-keys", *keys)

    @property
    def rows(self) -> list[str]:
        """The rows of the picture, without the empty ones at the end."""
        return self.tmux("capture-pane", "-p").rstrip().split("\n")

    def shows(self, text: str, row: int | None = None) -> None:
        """Wait until a row begins with a text: one, or that with a number."""
        __tracebackhide__ = True

        def seen() -> bool:
            rows = self.rows
            chosen = rows if row is None else rows[row : row + 1 or None]
            return any(line.startswith(text) for line in chosen)

        with contextlib.suppress(AssertionError):
            wait_until(seen, timeout=LONG)
            return
        pytest.fail(f"expected a row with {text!r}, got {self.rows}")

    @property
    def flags(self) -> str:
        """What programs have changed of the terminal."""
        return self.tmux("display-message", "-p", FLAGS).strip()

    def close(self) -> None:
        """End it."""
        self.tmux("kill-server")


@pytest.fixture(name="pane")
def pane_fixture(tmp_path: Path) -> Iterator[Pane]:
    """Give a pane."""
    pane = Pane(tmp_path)
    yield pane
    pane.close()


def test_vim(pane: Pane, store: Store, tmp_path: Path):
    """vim is typed into, resized, left and come back to: the picture is right each time, and what is left."""
    path = tmp_path / "text"
    path.write_text("first\nsecond\n")
    vim = ["vim", "-u", "NONE", "-N", "-c", "set noswapfile mouse=a", path.name]
    pane.type(f"cd {shlex.quote(str(tmp_path))}; clear; {RUNCAST} run -qit -- {shlex.join(vim)}", "Enter")
    pane.shows("first", 0)
    pane.type("ohello")
    pane.shows("hello", 1)
    pane.shows("-- INSERT --", 23)
    assert pane.flags.split()[0] == "1"

    pane.tmux("resize-window", "-x", 60, "-y", 15)
    pane.shows("-- INSERT --", 14)
    pane.type("", "Escape", "C-\\", "d")
    pane.shows("runcast: detached from run")
    pane.shows("shell>", -1)
    assert pane.flags == AS_USUAL

    pane.tmux("resize-window", "-x", 80, "-y", 24)
    pane.type(f"clear; {RUNCAST} attach last", "Enter")
    pane.shows("hello", 1)
    pane.shows("second", 2)
    pane.shows("~", 21)
    pane.type(":wq", "Enter")
    pane.shows("shell>", -1)
    assert pane.flags == AS_USUAL
    assert path.read_text() == "first\nhello\nsecond\n"


def test_killed(pane: Pane, store: Store, tmp_path: Path):
    """A shell whose `runcast` was killed has its terminal back: what is typed is seen once, and works."""
    (tmp_path / "text").write_text("line\n" * 99)
    pane.type(f"{RUNCAST} run -qit -- less {shlex.quote(str(tmp_path / 'text'))}", "Enter")
    pane.shows("/", 23)
    assert pane.flags != AS_USUAL
    (run,) = store.list()
    shell = pane.tmux("display-message", "-p", "#{pane_pid}").strip()
    children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    # What the shell prints before the screen is restored goes with the full screen, its prompt as well.
    wait_until(lambda: pane.flags == AS_USUAL, timeout=LONG)
    pane.type("echo $((40 + 2))", "Enter")
    pane.shows("42")
    assert sum(line.endswith("echo $((40 + 2))") for line in pane.rows) == 1
    assert run.outcome is None
    run.kill()
