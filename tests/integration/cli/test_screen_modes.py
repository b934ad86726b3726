"""A real terminal, tmux, is as it was when changes are undone, and as changed when they are made again."""

import subprocess
from pathlib import Path

import pytest

from runcast.escapes.screen_modes import ScreenModes
from tests.helpers.cli import LONG
from tests.helpers.wait import wait_until

FLAGS = ("alternate_on", "cursor_flag", "keypad_cursor_flag", "keypad_flag", "mouse_any_flag", "origin_flag")
FLAGS += ("wrap_flag", "mouse_sgr_flag", "scroll_region_upper", "scroll_region_lower", "cursor_x", "cursor_y")
CHANGES = (
    b"\x1b[?1049h\x1b[?25l\x1b[?1h\x1b=\x1b[?1000;1006h\x1b[?7l\x1b[?6h\x1b[5;9r\x1b[31m\x1b(0\x1b[?2004h",
    b"\x1b[?25l\x1b[5;20r\x1b[12;7H\x1b[7m",
)


def flags(folder: Path, *output: bytes) -> str:
    """Return what tmux says of a pane behind some output."""
    (folder / "output").write_bytes(b"".join(output))
    number = sum(1 for _ in folder.glob("socket*"))  # a server that ends holds its own for a while
    tmux = ["tmux", "-S", folder / f"socket{number}", "-f", "/dev/null"]
    script = f"cat {folder}/output; touch {folder}/shown; exec sleep 600"
    subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "24", script], check=True, timeout=LONG)
    try:
        wait_until((folder / "shown").exists, timeout=LONG)
        asked = [*tmux, "display-message", "-p", " ".join(f"#{{{flag}}}" for flag in FLAGS)]
        return subprocess.run(asked, check=True, timeout=LONG, capture_output=True, text=True).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=True, timeout=LONG)
        (folder / "shown").unlink()


@pytest.mark.parametrize("changes", CHANGES, ids=["full", "lines"])
def test_undo_and_redo(tmp_path: Path, changes: bytes):
    """Undone, only the place of the cursor may differ; redone, nothing does."""
    modes = ScreenModes()
    modes.feed(changes)

    before, changed = flags(tmp_path), flags(tmp_path, changes)
    undone = flags(tmp_path, changes, modes.undo)
    redone = flags(tmp_path, modes.redo)

    assert changed.split()[:10] != before.split()[:10]
    assert undone.split()[:10] == before.split()[:10]
    assert redone.split()[:10] == changed.split()[:10]
    assert undone.split()[10:] == (before if b"1049" in changes else changed).split()[10:]
