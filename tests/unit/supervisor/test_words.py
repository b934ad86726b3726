"""What the programs of a run say of it: what is a note, what is a progress, how many notes are kept."""

from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.masking.masks import Masks
from runcast.store.run_files import RunFiles
from runcast.supervisor.words import NOTE_CHARACTERS, NOTES_MOST, Notes, note_text, progress_of
from runcast.wire.jsons import note_json


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("tests done", "tests done"),
        ("  two\nlines\r\n\x1b[31mred\u2028end\n", "two lines [31mred end"),
        ("日本 " + "x" * (NOTE_CHARACTERS - 3), "日本 " + "x" * (NOTE_CHARACTERS - 3)),
        ("half \udc80", "half ?"),
    ],
)
def test_note(text: str, kept: str):
    """A note is one line without controls."""
    assert note_text(text) == kept


@pytest.mark.parametrize("text", ["", " \n", "x" * (NOTE_CHARACTERS + 1), 3, None, b"bytes"])
def test_no_note(text: object):
    """What is empty, too long or no text is refused."""
    with pytest.raises(UsageError, match="expected a note"):
        note_text(text)


def test_progress():
    """A progress has numbers or none, a text of one line, and its time."""
    found = progress_of({"done": 3, "total": 10.5, "text": "a\nb" + "x" * NOTE_CHARACTERS})
    assert (found["done"], found["total"], found["text"][:4]) == (3, 10.5, "a bx")
    assert len(found["text"]) == NOTE_CHARACTERS
    assert found["time"] > 0
    assert progress_of({})["done"] is None


@pytest.mark.parametrize(
    "request_", [{"done": "3"}, {"done": True}, {"total": float("nan")}, {"done": float("inf")}, {"text": 3}]
)
def test_no_progress(request_: dict[str, object]):
    """What is no finite number, or no text, is refused by name."""
    with pytest.raises(UsageError, match=r"expected (done|total|the text)"):
        progress_of(request_)


def test_bound(tmp_path: Path):
    """The newest stay, in order, each with its place; secrets are masked."""
    files, place = RunFiles(f"{tmp_path}"), [0, 1]
    notes = Notes(files, Masks(["hunter2"]), lambda: (place[0], place[1]))
    for number in range(NOTES_MOST + 5):
        place[:] = number * 10, number + 1
        notes.add(f"hunter2 {number}")

    kept = RunFiles(f"{tmp_path}").notes()
    assert len(kept) == NOTES_MOST
    assert (kept[0].text, kept[-1].text) == ("*** 5", f"*** {NOTES_MOST + 4}")
    assert (kept[-1].offset, kept[-1].line) == ((NOTES_MOST + 4) * 10, NOTES_MOST + 5)
    assert note_json(kept[-1])["offset"] == f"{(NOTES_MOST + 4) * 10:020d}"


def test_refused_note_keeps_the_others(tmp_path: Path):
    """A note that is none changes nothing."""
    files = RunFiles(f"{tmp_path}")
    notes = Notes(files, None, lambda: (0, 1))
    notes.add("first")
    with pytest.raises(UsageError):
        notes.add("")
    assert [note.text for note in files.notes()] == ["first"]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]",
        b'{"notes": 3}',
        b'{"notes": [3, {"offset": 1}, {"offset": "x"}]}',
        b"\xff",
        b'{"notes": [[]]}',
    ],
)
def test_damaged(tmp_path: Path, damage: bytes):
    """Of what cannot be read there are no notes."""
    (tmp_path / "notes.json").write_bytes(damage)
    assert RunFiles(f"{tmp_path}").notes() == []
