"""What the small files of a run say, checked field by field."""

import json
from pathlib import Path
from typing import Any

import pytest

from runcast.errors import FileDamaged, FormatTooNew
from runcast.model import Outcome, Reason
from runcast.store.contents import outcome_in, progress_in, request_in, state_of
from runcast.store.run_files import RunFiles

RUN = "01jzzzzzzzzzzzzzzzzzzzzzz1"
ASKED = {"format": 1, "name": "ls", "source": "command", "command": ["ls", "-l"], "created_at": 1.5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run that has nothing in it."""
    path = tmp_path / RUN
    path.mkdir()
    return path


def test_request(folder: Path) -> None:
    """What was asked comes back, with keys of later versions, and nothing is wrong with it."""
    asked = ASKED | {"of a later version": [1]}
    (folder / "run.json").write_text(json.dumps(asked))

    assert request_in(str(folder)) == (asked, None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": None}, "expected name as text, got None"),
        ({"name": "\ud800"}, r"expected name as text, got '\ud800'"),
        ({"command": "ls"}, "expected command as a list of texts, got 'ls'"),
        ({"command": ["ls", 1]}, "expected command as a list of texts, got ['ls', 1]"),
        ({"created_at": True}, "expected created_at as seconds since the epoch, got True"),
        ({"created_at": 1e300}, "expected created_at as seconds since the epoch, got 1e+300"),
        ({"created_at": -1}, "expected created_at as seconds since the epoch, got -1"),
        ({"env": {"A": 1}}, "expected env as an object of texts, got {'A': 1}"),
        ({"cap": -1}, "expected cap as bytes or null, got -1"),
        ({"format": "1"}, "expected format as a whole number, got '1'"),
    ],
    ids=str,
)
def test_wrong_type(folder: Path, change: dict[str, Any], problem: str) -> None:
    """One field of a wrong type is said to be, and stood in for; the others are as they are there."""
    (folder / "run.json").write_text(json.dumps(ASKED | change))

    value, found = request_in(str(folder))

    assert found == f"run.json: {problem}"
    assert value["id"] == RUN
    kept = {name: one for name, one in ASKED.items() if name not in change}
    assert value | kept == value
    with pytest.raises(FileDamaged, match=r"run\.json: expected"):
        RunFiles(str(folder)).request()


@pytest.mark.parametrize("missing", ["name", "source", "command", "created_at"])
def test_missing(folder: Path, missing: str) -> None:
    """A field that every version wrote, and is missing, is damage."""
    (folder / "run.json").write_text(json.dumps({name: ASKED[name] for name in ASKED if name != missing}))

    value, found = request_in(str(folder))

    assert found == f"run.json: expected {missing}, it is missing"
    assert missing in value


def test_newer(folder: Path) -> None:
    """A newer format is said to be one, with what to do, and what is known of it is read."""
    (folder / "run.json").write_text(json.dumps(ASKED | {"format": 7}))

    value, found = request_in(str(folder))

    assert found is not None
    assert "it has format 7, this runcast reads up to 1: upgrade runcast" in found
    assert value["name"] == "ls"
    with pytest.raises(FormatTooNew, match="upgrade runcast"):
        RunFiles(str(folder)).request()


def test_nothing(folder: Path) -> None:
    """A run without its `run.json` has a stand-in; one without its folder has none."""
    value, found = request_in(str(folder))

    assert found == "run.json: it is missing"
    assert (value["name"], value["source"], value["command"]) == (RUN, "unknown", [])
    with pytest.raises(FileNotFoundError):
        request_in(f"{folder}/none")


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (
            b'{"state": "running", "pid": 1, "owner": "%b"}' % RUN.encode(),
            {"state": "running", "pid": 1, "owner": RUN},
        ),
        (
            b'{"waiting": {"for": "password", "question": "Password:"}}',
            {"waiting": {"for": "password", "question": "Password:"}},
        ),
        (b'{"waiting": null}', {"waiting": None}),
        (b'{"waiting": {"for": "coffee", "question": ""}}', {}),
        (b'{"waiting": {"for": "input"}}', {}),
        (b'{"waiting": "input"}', {}),
        (b'{"state": "dancing", "pid": "1", "supervisor": 0, "started_at": null, "other": 1}', {"other": 1}),
        (b'{"owner": "../../outside"}', {}),
        (b'{"sta', None),
        (b"[]", None),
    ],
)
def test_state(data: bytes, state: dict[str, Any] | None) -> None:
    """Of the state only what has its right type counts; a name that leads elsewhere has not."""
    assert state_of(data) == state


@pytest.mark.parametrize("change", [{}, {"done": "x"}, {"text": None}, {"total": True}])
def test_progress(folder: Path, change: dict[str, Any]) -> None:
    """Progress is told as a whole, or not at all."""
    told = {"done": 1, "total": None, "text": "x", "time": 1.0} | change
    (folder / "progress.json").write_text(json.dumps(told))

    assert progress_in(str(folder)) == (None if change else told)


@pytest.mark.parametrize(
    "change",
    [{"code": 256}, {"code": "0"}, {"signal": -1}, {"dropped": None}, {"ended_at": 1e20}, {"reason": 1}],
)
def test_outcome(folder: Path, change: dict[str, Any]) -> None:
    """An outcome that says something else than it can is over, and lost; nobody takes it for a success."""
    good = Outcome(Reason.EXITED, 0, ended_at=1.0)
    (folder / "outcome.json").write_text(json.dumps(good.to_json()))
    assert outcome_in(str(folder)) == (good, None)

    (folder / "outcome.json").write_text(json.dumps(good.to_json() | change))
    outcome, problem = outcome_in(str(folder))

    assert outcome is not None
    assert (outcome.reason, outcome.ok) == (Reason.LOST, False)
    assert outcome.message.startswith("its outcome.json is damaged: expected ")
    assert problem is not None
    assert problem.startswith("outcome.json: expected ")
