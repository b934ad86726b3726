"""Progress: the latest value counts, the last is never missed, and every process can read it."""

import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

import runcast
from runcast import Store
from runcast.errors import UsageError
from tests.helpers.children import PYTHON, run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 10000 * MS


def test_latest_wins(store: Store):
    """Readers see what was told last; there is no history."""
    step = threading.Semaphore(0)

    def job():
        for n in range(3):
            runcast.progress(n, 3, f"step {n}")
            step.acquire()

    run = store.start(job)
    for n in range(3):
        wait_until(lambda n=n: (run.progress or {}).get("done") == n, DEADLINE)
        assert run.progress is not None
        assert run.progress["text"] == f"step {n}"
        step.release()
    assert run.wait(timeout=DEADLINE).ok
    assert run.progress is not None
    assert (run.progress["done"], run.progress["total"]) == (2, 3)
    assert abs(run.progress["time"] - time.time()) < 60


@pytest.mark.parametrize("how", ["returns", "raises", "exits"])
def test_last_is_written(store: Store, how: str):
    """However often it is told and however the function ends, the last one is there at the end."""

    def job():
        for n in range(1000):
            runcast.progress(n)
        if how == "raises":
            raise ValueError
        if how == "exits":
            raise SystemExit(3)

    run = store.start(job)
    run.wait(timeout=DEADLINE)

    assert run.progress is not None
    assert run.progress["done"] == 999


def test_one_before_a_pause_is_written(store: Store):
    """One that comes right behind another is written though nothing follows it."""
    go = threading.Event()

    def job():
        runcast.progress(1)
        runcast.progress(2)
        go.wait()

    run = store.start(job)

    wait_until(lambda: (run.progress or {}).get("done") == 2, DEADLINE)
    go.set()
    assert run.wait(timeout=DEADLINE).ok


def test_other_process(store: Store):
    """Another process reads it while the run goes on, alone and as part of the run's JSON."""
    go = threading.Event()

    def job():
        runcast.progress(1, 4, text="a quarter")
        go.wait()

    run = store.start(job)
    wait_until(lambda: run.progress, DEADLINE)
    told = run_python(
        """
        import sys, runcast
        run = runcast.get(sys.argv[1])
        print(run.progress["text"], run.to_json()["progress"]["total"])
        """,
        run.id,
    )
    go.set()

    assert told == "a quarter 4\n"


def test_none(store: Store):
    """A run that tells nothing has no progress; outside a run telling it is allowed and does nothing."""
    runcast.progress(1, 2, "nobody hears this")

    run = store.start(print, "x")
    run.wait(timeout=DEADLINE)
    assert run.progress is None
    assert run.to_json()["progress"] is None


def test_partly(store: Store):
    """Any part may be left out."""

    def job():
        runcast.progress(text="warming up")

    run = store.start(job)
    run.wait(timeout=DEADLINE)

    assert run.progress is not None
    assert {key: run.progress[key] for key in ("done", "total", "text")} == {
        "done": None,
        "total": None,
        "text": "warming up",
    }


class Scalar:
    """A number as array libraries have them."""

    def __float__(self) -> float:
        return 0.5


@pytest.mark.parametrize(("value", "kept"), [(Scalar(), 0.5), (Decimal("1.5"), 1.5), (7, 7), (0.25, 0.25)])
def test_numbers(store: Store, value: object, kept: float):
    """Numbers of other libraries are taken as Python's own."""
    run = store.start(runcast.progress, value)
    run.wait(timeout=DEADLINE)

    assert run.progress is not None
    assert run.progress["done"] == kept


@pytest.mark.parametrize("value", ["3", float("nan"), float("inf"), [1]])
def test_what_is_no_number(value: object):
    """What is no finite number is an error, inside a run and out."""
    with pytest.raises(UsageError, match="expected done as a finite number"):
        runcast.progress(value)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected total as a finite number"):
        runcast.progress(1, value)  # type: ignore[arg-type]


def test_of_threads(store: Store):
    """Threads that a function starts tell the progress of its run."""

    def job():
        thread = threading.Thread(target=runcast.progress, args=(5, 10))
        thread.start()
        thread.join()

    run = store.start(job)
    run.wait(timeout=DEADLINE)

    assert run.progress is not None
    assert run.progress["done"] == 5


WINDOW = r"""
import sys, time
for n in range(2001):
    sys.stdout.write(f"\x1b]9;4;1;{n // 20}\x07line {n}\n")
sys.stdout.write("\x1b]9;4;" + sys.argv[1] + "\x1b\\")
"""


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("1;7", (7, 100, "running")),
        ("2", (100, 100, "error")),
        ("3", (None, None, "running")),
        ("0", (None, None, "done")),
    ],
)
def test_of_output(store: Store, last: str, expected: tuple[object, ...]):
    """A command's output may contain its progress (OSC 9;4): the last value is never missed."""
    run = store.start([*PYTHON, WINDOW, last])

    assert run.wait(timeout=DEADLINE).ok
    assert run.progress is not None
    assert (run.progress["done"], run.progress["total"], run.progress["status"]) == expected
    assert run.progress["text"] == ""
    assert abs(run.progress["time"] - time.time()) < 60


def test_of_output_live(store: Store):
    """It is there while the command runs, of stderr as well, and it stays in the log as it came."""
    run = store.start(
        r"printf 'a\033]9;4;1' >&2; read go; printf ';50\007b' >&2; read go", shell=True, stdin="pipe"
    )
    wait_until(lambda: run.tail_offset == len("a\x1b]9;4;1"), DEADLINE)
    assert run.progress is None

    run.send("\n")
    wait_until(lambda: run.progress, DEADLINE)
    assert run.progress is not None
    assert run.progress["done"] == 50
    run.send("\n")
    assert run.output() == "a\x1b]9;4;1;50\x07b"


def test_of_output_of_a_function(store: Store):
    """A function in a process of its own publishes its progress itself: its output does not replace it."""
    run = store.start(prints_progress, process=True)

    assert run.wait(timeout=DEADLINE).ok
    assert run.progress is not None
    assert (run.progress["done"], run.progress["text"]) == (1, "own")


FOUR_TESTS = """
import pathlib, time

def test_one(): pass

def test_two(): pass

def test_three():
    while not pathlib.Path("go").exists():
        time.sleep(0.02)

def test_four(): pass
"""


@pytest.mark.slow
def test_of_pytest(store: Store, tmp_path: Path):
    """pytest's plugin for it sends its progress to a terminal; at the end there is no bar to show."""
    (tmp_path / "test_it.py").write_text(FOUR_TESTS)
    (tmp_path / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-p", "terminalprogress", "-p", "no:cacheprovider"]
    run = store.start(command, tty=True, cwd=tmp_path)

    wait_until(lambda: (run.progress or {}).get("done"), DEADLINE, "progress")
    assert run.progress is not None
    assert 0 < run.progress["done"] < run.progress["total"] == 100
    assert run.progress["status"] == "running"
    (tmp_path / "go").touch()

    assert run.wait(timeout=DEADLINE).ok, run.output()
    assert run.progress is not None
    assert run.progress["status"] == "done"


def prints_progress() -> None:
    runcast.progress(1, 2, "own")
    print("\x1b]9;4;1;99\x07", flush=True)
