"""What other code has imported, and what it only begins to import."""

import sys
import threading
from pathlib import Path

import pytest

from runcast.loaded import loaded
from tests.helpers.wait import MS, wait_until


def test_nobody_imported_it():
    """A module that nobody imported is none, and is not imported by the question."""
    assert loaded("antigravity") is None
    assert "antigravity" not in sys.modules


def test_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A module that another thread is importing is none until that has ended."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_module.py").write_text("import sys\nsys.slow_module_may_end.wait()\nvalue = 1\n")
    monkeypatch.setattr(sys, "slow_module_may_end", may_end := threading.Event(), raising=False)
    thread = threading.Thread(target=__import__, args=("slow_module",))
    thread.start()
    try:
        wait_until(lambda: "slow_module" in sys.modules, 10000 * MS)
        assert loaded("slow_module") is None
    finally:
        may_end.set()
        thread.join()

    assert loaded("slow_module").value == 1
    del sys.modules["slow_module"]
