"""What the long tests share: their fixtures, and that they say how far they are.

`make soak` collects this folder, and nothing else does. Each test is the large form of a promise
whose small form is among the fast ones (docs/explanation/promises.md): it is bounded, ends by
itself, and prints the figures that it measured.
"""

import faulthandler
import time
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.soak import share

_PROGRESS_SECONDS = 10


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long tests be long: the suite's two minutes are no limit here, a night is."""
    for item in items:
        if "tests/soak/" in item.nodeid and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(12 * 3600))


def pytest_runtest_setup() -> None:
    """Have no test that takes hours print where all its threads are, as one of the suite that hangs does."""
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def sized() -> Callable[[int], int]:
    """Give what makes a full size the size of this run; never nothing."""
    return share


@pytest.fixture
def say(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Give what prints a line past pytest's capture, with the test's name."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {text}", end="", flush=True)

    return line


@pytest.fixture
def counted(say: Callable[[str], None]) -> Callable[[int], Iterator[int]]:
    """Give a range that prints how far it is, at most every ten seconds, and its rate at the end."""

    def count(size: int) -> Iterator[int]:
        begun = spoken = time.monotonic()
        for number in range(size):
            if time.monotonic() - spoken >= _PROGRESS_SECONDS:
                spoken = time.monotonic()
                say(f"{number:,} of {size:,} after {spoken - begun:.0f} s")
            yield number
        taken = time.monotonic() - begun
        say(f"{size:,} in {taken:.1f} s, {size / max(taken, 1e-9):,.0f} a second")

    return count
