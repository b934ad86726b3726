"""`--store`: what is said of a place that cannot be a store; nothing there is touched."""

import json
import os
from pathlib import Path

import pytest

from runcast.errors import StoreUnusable
from runcast.runs import store_path
from tests.helpers.cli import Call

NOBODY = 65534
VERBS = (["run", "true"], ["ls"])
ALL_VERBS = (
    *VERBS,
    ["log", "last"],
    ["attach", "x"],
    ["follow", "x"],
    ["wait", "x"],
    ["stop", "x"],
    ["kill", "x"],
    ["rm", "x"],
)


def snapshot(path: Path) -> dict[str, tuple[int, int]]:
    """Return every path below a folder with its size and time of change."""
    found = {str(path): (0, path.stat().st_mtime_ns)} if path.exists() else {}
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            status = os.lstat(f"{folder}/{name}")
            found[f"{folder}/{name}"] = (status.st_size, status.st_mtime_ns)
    return found


def refused(call: Call, where: object, said: str, folder: Path, verbs: tuple[list[str], ...] = VERBS) -> None:
    """Expect one sentence and exit code 2 of each verb, and nothing touched in a folder."""
    __tracebackhide__ = True
    before = snapshot(folder)
    for verb in verbs:
        done = call("--store", where, *verb)
        assert (done.code, done.out) == (2, b"")
        assert done.err.startswith(f"runcast: {said}"), done.err
        assert done.err.count("\n") == 1
    assert snapshot(folder) == before


def test_file(call: Call, tmp_path: Path):
    """A file is no store, whatever the verb."""
    (tmp_path / "file").write_text("precious")

    refused(call, tmp_path / "file", "expected a folder as the store", tmp_path, ALL_VERBS)
    assert (tmp_path / "file").read_text() == "precious"


def test_below_a_file(call: Call, tmp_path: Path):
    """A path below a file can be no store."""
    (tmp_path / "file").write_text("precious")

    refused(call, tmp_path / "file" / "store", "cannot look into the store", tmp_path)


def test_not_writable(call: Call, tmp_path: Path):
    """A place where nothing can be made is told, with what to do."""
    said = "cannot write to the store /proc/runcast-store: no such file or directory: make it writable, or"

    refused(call, "/proc/runcast-store", said, tmp_path, verbs=(["run", "true"],))


def test_other_files(call: Call, tmp_path: Path):
    """A folder of other things is not made a store by mistake."""
    (tmp_path / "thesis.tex").write_text("precious")

    refused(call, tmp_path, "expected a store or an empty folder", tmp_path)


def test_newer_format(call: Call, tmp_path: Path):
    """A store that a newer runcast wrote is left alone."""
    (tmp_path / "store.json").write_text(json.dumps({"format": 99}))

    refused(call, tmp_path, f"the store {tmp_path} has format 99, this runcast knows up to 1", tmp_path)


def test_damaged_mark(call: Call, tmp_path: Path):
    """A store whose mark cannot be read is left alone."""
    (tmp_path / "store.json").write_text("{")

    refused(call, tmp_path, f"cannot read {tmp_path}/store.json", tmp_path)


@pytest.mark.root
def test_somebody_elses(call: Call, tmp_path: Path):
    """A store of another user is left alone."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "store.json").write_text(json.dumps({"format": 1}))
    os.chown(theirs, NOBODY, NOBODY)

    refused(call, theirs, f"the store {theirs} belongs to user {NOBODY}, this is ", tmp_path)


@pytest.mark.parametrize(
    "where", ["sqlite://localhost", "http://example.org/runs", "valkey://:T0ps3cret@host"]
)
def test_unknown_scheme(call: Call, where: str, tmp_path: Path):
    """A store of a kind that is not known is told, without what may be a password."""
    refused(
        call,
        where,
        "expected a folder, file:FOLDER, memory:, redis://HOST or postgresql://HOST as the store, "
        f"got '{where.partition(':')[0]}:…'",
        tmp_path,
    )


@pytest.mark.parametrize(
    ("where", "advice"),
    [
        ("unix:/run/redis.sock", "got 'unix:…': a socket of Redis is unix:///run/redis.sock"),
        ("https://u:T0ps3cret@h/", "got 'https:…': the address of a server of runs is for --server"),
    ],
)
def test_scheme_of_something_else(where: str, advice: str):
    """Who gives what is nearly a store, or another thing's address, reads what to write."""
    with pytest.raises(StoreUnusable, match=advice) as error:
        store_path(where)
    assert "T0ps3cret" not in str(error.value)


@pytest.mark.parametrize("where", ["", "file:"])
def test_empty_name(call: Call, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty name, as of a variable that is not set, is not the folder we happen to be in."""
    monkeypatch.chdir(tmp_path)

    refused(call, where, "expected the name of a folder as the store, got an empty one", tmp_path)


def test_control_codes(call: Call, tmp_path: Path):
    """The name of a store cannot draw on the terminal when it is told."""
    path = tmp_path / "a\x1b[31m\nb"
    path.write_text("precious")

    refused(call, path, "expected a folder as the store, " + f"{tmp_path}/a\\x1b[31m\\nb is a file", tmp_path)
