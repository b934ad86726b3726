"""Files that are kept with a run: which, when, and what becomes of them."""

import os
from pathlib import Path

import pytest

from runcast import Reason, Store
from runcast.errors import ArtifactNotFound, UsageError
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS
HOW_IT_ENDS = {"fails": "exit 3", "is killed": "kill -9 $$", "ends": "true"}


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW_IT_ENDS)
def test_kept(store: Store, tmp_path: Path, how: str):
    """They are there when the run has ended, however it did, with what was left out, and go with it."""
    made = "mkdir -p out/x; cd out; printf 123 > a.png; printf 4 > x/b.png; ln -s a.png c.png; mkfifo d.png"
    run = store.start(
        ["sh", "-c", f"{made}; sleep 0.01; {HOW_IT_ENDS[how]}"],
        cwd=tmp_path,
        artifacts=["out/**/*.png", "report.html", "out"],
    )
    assert run.artifacts == []
    run.wait(timeout=DEADLINE)

    assert run.artifacts == [("out/a.png", 3), ("out/x/b.png", 1)]
    assert [one.name for one in run.left_out] == ["out/c.png", "out/d.png", "report.html", "out"]
    assert run.left_out[2].why == "there is no such file"
    shown = run.to_json()
    assert (shown["notes"], shown["artifacts"][0]) == ([], {"name": "out/a.png", "bytes": 3})
    assert run.read_artifact("out/a.png") == b"123"
    (tmp_path / "out" / "a.png").write_text("later")
    assert run.save_artifacts(tmp_path / "saved", "out/a.png") == [f"{tmp_path}/saved/out/a.png"]
    assert (tmp_path / "saved/out/a.png").read_bytes() == b"123"
    with pytest.raises(ArtifactNotFound, match=r"has no file 'out/c.png'; there are: out/a.png, out/x/b.png"):
        run.read_artifact("out/c.png")
    store.remove(run)
    assert not Path(f"{store.path}/{run.id}").exists()


def test_none(store: Store, tmp_path: Path):
    """A run without patterns has none, and no place for them."""
    run = store.start(["sh", "-c", "echo > report.html"], cwd=tmp_path)
    run.wait(timeout=DEADLINE)
    assert (run.artifacts, run.left_out) == ([], [])
    assert run.to_json()["artifacts"] is None
    assert "artifacts" not in os.listdir(f"{store.path}/{run.id}")


@pytest.mark.slow
def test_not_started(store: Store, tmp_path: Path):
    """A run that could not be started has none."""
    (tmp_path / "a").write_text("old")
    run = store.start(["/nowhere/x"], cwd=tmp_path, artifacts=["a"])
    assert run.wait(timeout=DEADLINE).reason is Reason.FAILED_TO_START
    assert run.artifacts == []


@pytest.mark.slow
def test_bounds(store: Store, tmp_path: Path):
    """At most so many files and bytes are kept; the others are named with the reason."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 * 1024**3)
    for number in range(1005):
        (tmp_path / f"f{number:04}").write_text("x")
    run = store.start(["true"], cwd=tmp_path, artifacts=["large", "f*"])
    run.wait(timeout=DEADLINE)

    assert len(run.artifacts) == 1000
    assert [one.name for one in run.left_out] == ["large", *(f"f{number:04}" for number in range(1000, 1005))]
    assert run.left_out[0].why == "with 2147483648 bytes it goes beyond the 1073741824 of all"
    assert run.left_out[1].why == "there are 1000 already"


@pytest.mark.slow
def test_moved_folder(store: Store, tmp_path: Path):
    """The folder is that in which the command began, wherever it is by then."""
    (tmp_path / "one").mkdir()
    move = "echo x > a; cd ..; mv one two; mkdir one; echo other > one/a"
    run = store.start(["sh", "-c", move], cwd=tmp_path / "one", artifacts=["a"])
    run.wait(timeout=DEADLINE)
    assert run.read_artifact("a") == b"x\n"


def make_report() -> None:
    """Write a report in the folder of the run."""
    Path("report.txt").write_text("fine")


@pytest.mark.slow
def test_function(store: Store, tmp_path: Path):
    """A function in a process of its own has some; one in this process is refused them."""
    run = store.start(make_report, process=True, cwd=tmp_path, artifacts=["*.txt"])
    assert run.wait(timeout=DEADLINE).ok, run.output()
    assert run.read_artifact("report.txt") == b"fine"
    with pytest.raises(UsageError, match="use process=True"):
        store.start(make_report, artifacts=["a"])


@pytest.mark.slow
def test_masked(store: Store, tmp_path: Path):
    """Names are masked, contents are not; the run is there with what it can show."""
    said = "echo hunter2 > of-hunter2.txt"
    run = store.start(["sh", "-c", said], cwd=tmp_path, mask=["hunter2"], artifacts=["of*", "hunter2*"])
    run.wait(timeout=DEADLINE)
    assert run.artifacts == [("of-***.txt", 8)]
    assert run.left_out == [("***", "there is no such file")] or run.left_out[0].name == "****"
    assert run.read_artifact("of-***.txt") == b"hunter2\n"


@pytest.mark.slow
def test_again(store: Store, tmp_path: Path):
    """Started again it has its own."""
    run = store.start(["sh", "-c", "date +%N > a"], cwd=tmp_path, artifacts=["./a"])
    run.wait(timeout=DEADLINE)
    again = store.rerun(run)
    again.wait(timeout=DEADLINE)
    assert run.request["artifacts"] == again.request["artifacts"] == ["a"]
    assert run.read_artifact("a") != again.read_artifact("a")


@pytest.mark.slow
def test_left_behind(store: Store, tmp_path: Path):
    """Where a program is left behind that holds the output, they are there with the end of the log."""
    run = store.start(["sh", "-c", "echo x > a; sleep 1000 &"], cwd=tmp_path, artifacts=["a"])
    run.wait(timeout=DEADLINE)
    run.kill()
    wait_until(lambda: run.closed, DEADLINE)
    assert run.artifacts == [("a", 2)]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("a", "expected artifacts as a list of paths or patterns, got 'a': write a list, also of one"),
        (
            ["../a"],
            "expected in artifacts a path within the folder of the run, without / before it and ..",
        ),
        (["/etc/passwd"], "got '/etc/passwd'"),
        ([""], "expected in artifacts a path with a name in it, got ''"),
        ([3], "as a list of paths or patterns"),
        (["a"] * 101, "as at most 100 patterns, got 101"),
        (["a" * 1025], "patterns of at most 1024 characters"),
    ],
)
def test_refused(store: Store, given: object, why: str):
    """What is no pattern, or leaves the folder, is refused before anything is started."""
    with pytest.raises(UsageError) as caught:
        store.start(["true"], artifacts=given)  # type: ignore[arg-type]
    assert why in str(caught.value)
    assert list(store.list()) == []
