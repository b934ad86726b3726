"""`runcast artifacts`: list, show and save the files of a run."""

from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.cli import LONG, cli

pytestmark = pytest.mark.slow


def test_artifacts(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They are listed with their sizes, shown as they are, saved below a folder; what is missing is said."""
    monkeypatch.chdir(tmp_path)
    made = 'mkdir out; printf "a\\0b" > out/bytes; printf x > "out/na\tme"; printf yes > report.txt'
    words = ["--artifact", "out/*", "--artifact", "report.txt", "--artifact", "none"]
    assert cli("run", *words, "--", "sh", "-c", made).code == 0

    done = cli("artifacts", "last")
    assert (done.code, done.out) == (0, b"      3 B  out/bytes\n      3 B  report.txt\n")
    assert done.err == (
        "runcast: out/na\\tme was left out: its name has characters that are not shown\n"
        "runcast: none was left out: there is no such file\n"
    )
    assert cli("artifacts", "last", "out/bytes", "report.txt") == (0, b"a\0byes", "")
    assert cli("artifacts", "last", "-o", "saved", "out/bytes") == (0, b"saved/out/bytes\n", "")
    assert (tmp_path / "saved" / "out" / "bytes").read_bytes() == b"a\0b"
    assert not (tmp_path / "saved" / "report.txt").exists()

    done = cli("artifacts", "last", "-o", "saved", "none")
    assert (done.code, done.out) == (2, b"")
    assert "has no file 'none'; there are: out/bytes, report.txt" in done.err
    run = next(store.list())
    run.wait(timeout=LONG)
    assert run.left_out[0].name == "out/na\tme"


def test_pattern_that_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A pattern that leaves the folder is refused, and nothing is started."""
    monkeypatch.chdir(tmp_path)
    done = cli("run", "--artifact", "../x", "--", "touch", "started")
    assert (done.code, done.out) == (2, b"")
    assert "within the folder of the run" in done.err
    assert not (tmp_path / "started").exists()
