"""The audit: its lines, what is a line once a minute, its size, and what keeps it from being written."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from runcast.acting import acting
from runcast.errors import RunActive
from runcast.store import audit
from runcast.store.audit import FILE, audit_line, audit_once, audited
from runcast.who import Who

ANA = Who("user", "ana")


def lines(folder: Path, name: str = FILE) -> list[dict[str, Any]]:
    """Return the lines of an audit."""
    return [json.loads(line) for line in (folder / name).read_text().splitlines() if line]


def test_line(tmp_path: Path):
    """A line says when, who, from where, what, to which run, and with which result; for the user alone."""
    with acting(ANA, "10.0.0.7"):
        audit_line(str(tmp_path), "stop", "01jd", "backup")

    (line,) = lines(tmp_path)
    assert line.pop("time")[-1] == "Z"
    assert line == {
        "who": {"kind": "user", "name": "ana"},
        "peer": "10.0.0.7",
        "verb": "stop",
        "run": "01jd",
        "name": "backup",
        "result": "done",
    }
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_result(tmp_path: Path):
    """What fails has the name of its error, and is raised all the same."""
    with acting(ANA), pytest.raises(RunActive), audited(str(tmp_path), "delete", "01jd"):
        raise RunActive("it goes on")
    with acting(ANA), audited(str(tmp_path), "delete", "01jd"):
        pass

    assert [line["result"] for line in lines(tmp_path)] == ["RunActive", "done"]


def test_again_and_again(tmp_path: Path):
    """What comes many times a second is a line for each person, verb and run."""
    for _ in range(3):
        for name in ("ana", "ben"):
            for run in ("01jd", "01je"):
                with acting(Who("user", name)):
                    audit_once(str(tmp_path), "send", run)

    found = [(line["who"]["name"], line["run"]) for line in lines(tmp_path)]
    assert found == [("ana", "01jd"), ("ana", "01je"), ("ben", "01jd"), ("ben", "01je")]


def test_refused(tmp_path: Path):
    """Whoever tries one run after the other has one line for it: it pushes no others out."""
    with acting(ANA):
        for number in range(5):
            audit_once(str(tmp_path), "stop", f"01jd{number}", result="NotAllowed")
        audit_once(str(tmp_path), "delete", "01jd0", result="NotAllowed")

    assert [(line["verb"], line["run"]) for line in lines(tmp_path)] == [
        ("stop", "01jd0"),
        ("delete", "01jd0"),
    ]


def test_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full file moves on, four of them stay, and the newest lines are in the one without a number."""
    monkeypatch.setattr(audit, "_BYTES", 1)
    with acting(ANA):
        for number in range(7):
            audit_line(str(tmp_path), f"verb{number}")

    names = [FILE, *(f".audit.{number}.jsonl" for number in (1, 2, 3, 4))]
    assert [lines(tmp_path, name)[0]["verb"] for name in names] == [f"verb{n}" for n in (6, 5, 4, 3, 2)]
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_part_of_a_line(tmp_path: Path):
    """Behind the part of a line that a full disk left begins a line of its own."""
    (tmp_path / FILE).write_text('{"time": "2026-')
    with acting(ANA):
        audit_line(str(tmp_path), "stop")

    first, second = (tmp_path / FILE).read_text().splitlines()
    assert first == '{"time": "2026-'
    assert json.loads(second)["verb"] == "stop"


def test_no_secret_in_a_long_name(tmp_path: Path):
    """A name is cut: nobody fills the file by names."""
    with acting(Who("user", "a" * 5000)):
        audit_line(str(tmp_path), "start", "01jd", "n" * 5000)

    (line,) = lines(tmp_path)
    assert (len(line["name"]), len(line["who"]["name"])) == (200, 200)


def test_what_is_in_the_way(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """What cannot be written is a warning, once, and keeps nobody from what was to be done."""
    (tmp_path / FILE).symlink_to("/etc/passwd")
    with acting(ANA):
        for _ in range(2):
            with audited(str(tmp_path), "stop"):
                pass

    said = [one.getMessage() for one in caplog.records if one.name == "runcast.store"]
    assert len(said) == 1
    assert "a symbolic link is there" in said[0]


def test_store_that_is_gone(tmp_path: Path):
    """The audit of a store that was removed is gone with it."""
    audit_line(str(tmp_path / "gone"), "delete", who=ANA)

    assert not (tmp_path / "gone").exists()


def test_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The logger has the same, in words."""
    with caplog.at_level("INFO", "runcast.audit"), acting(ANA, "10.0.0.7"):
        audit_line(str(tmp_path), "stop", "01jd", "backup")

    assert caplog.messages == ["stop 01jd 'backup' by user 'ana' from 10.0.0.7: done"]
