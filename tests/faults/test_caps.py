"""R12: a run's folder never has more than its cap, and whoever comes too late is told so."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.errors import OffsetGone, RunFinished
from runcast.run.base import files_of
from tests.helpers.children import Collected
from tests.helpers.wait import MS, wait_until

DEADLINE = 60000 * MS
CAP = 4 * 1024 * 1024
OUTPUT = 64 * 1024 * 1024

pytestmark = pytest.mark.fault


def folder_bytes(run: Run) -> int:
    """Return what the files of a run have together; one that is dropped meanwhile counts nothing."""
    total = 0
    for path in Path(files_of(run).path).rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def flood(run: Run, enough: Callable[[], bool], timeout: float = DEADLINE) -> tuple[list[int], Collected]:
    """Watch a run until it ends; return the sizes of its folder meanwhile, and what a follower was told."""
    collected = Collected()

    def follow() -> None:
        for chunk in run.follow():
            if chunk is not None:
                assert not chunk.data.strip(b"y\n")
                collected.add(chunk)
                collected.data.clear()  # offsets and gaps are of interest, and a minute is gigabytes
                collected._channels.clear()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    sizes: list[int] = []

    def look() -> bool:
        sizes.append(folder_bytes(run))
        if run.outcome is None and enough():
            with contextlib.suppress(RunFinished):  # since the look before
                run.kill()
        return run.closed

    wait_until(look, timeout=timeout, what="the end of the flood")
    follower.join(DEADLINE)
    assert not follower.is_alive()
    return sizes, collected


def judge(run: Run, cap: int, sizes: list[int], collected: Collected) -> None:
    """Assert what is promised of a run that has written much more than its cap."""
    assert max(sizes) <= cap * 1.05
    assert run.wait(timeout=DEADLINE).truncated
    assert run.wait().dropped == 0  # the cap cut it, nothing was lost on the way
    assert collected.faults == []
    assert collected.next == run.tail_offset
    late = Collected()
    for chunk in run.follow():
        assert chunk is not None
        late.add(chunk)
    [(start, end)] = late.gaps  # from the first byte: the head, a gap, the tail
    assert late.faults == []
    assert len(late.data) + (end - start) == run.tail_offset
    assert len(late.data) <= cap
    with pytest.raises(OffsetGone):
        run.follow(offset=(start + end) // 2)


def test_cap_while_it_floods(store: Store):
    """R12: at every look a flood's folder has at most its cap and 5 %; followers are told of each gap."""
    run = store.start(["sh", "-c", f"yes | head -c {OUTPUT}"], cap=CAP)
    sizes, collected = flood(run, lambda: False)

    assert len(sizes) > 1
    assert run.tail_offset == OUTPUT
    judge(run, CAP, sizes, collected)
