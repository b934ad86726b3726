"""Files that somebody gives: what Python code may pass, and what they are called."""

import io
import os
from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.sysio.uploads import shown_name, upload_of


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.csv", "a.csv"),
        ("C:\\Users\\ada\\a.csv", "a.csv"),
        ("../../etc/passwd", "passwd"),
        ("a\n\x1b[2J\u202eb", "a[2Jb"),
        ("", "file"),
        ("/", "file"),
        ("日本.csv", "日本.csv"),
        ("x" * 200 + ".csv", "x" * 96 + ".csv"),
    ],
)
def test_names(name: str, shown: str):
    """A name has no folders and no controls, and an end."""
    assert shown_name(name) == shown


def test_kinds(tmp_path: Path):
    """A path, an open file from where it is, and bytes are files."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(7)
        given = [path, file, b"bytes", io.BytesIO(b"in memory")]
        uploads = [upload_of("p", one) for one in given]
    assert [(one.name, one.size) for one in uploads] == [
        ("a.txt", 10),
        ("a.txt", 3),
        ("file", 5),
        ("file", 9),
    ]
    for number, one in enumerate(uploads):
        one.copy_to(f"{tmp_path}/{number}")
    assert [(tmp_path / str(number)).read_bytes() for number in range(4)] == [
        *(b"0123456789", b"789", b"bytes", b"in memory")
    ]
    assert upload_of("p", uploads[0]) is uploads[0]
    assert len({one.token for one in uploads}) == 4


def test_refused(tmp_path: Path):
    """Anything else is refused, and nothing waits for a FIFO."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("x")
    with (tmp_path / "text").open() as text:
        for wrong in ("a.csv", 3, tmp_path, tmp_path / "none", tmp_path / "fifo", text):
            with pytest.raises(UsageError, match="expected p as a file"):
                upload_of("p", wrong)


def test_shorter(tmp_path: Path):
    """A file that becomes shorter while it is copied is an error."""
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    upload = upload_of("p", path)
    os.truncate(path, 4)
    with pytest.raises(OSError, match="became shorter"):
        upload.copy_to(f"{tmp_path}/b")
    with pytest.raises(OSError, match="became shorter"):
        list(upload.pieces(3))
