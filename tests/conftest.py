"""Fixtures that every test gets, a heap that is not searched with each of them, and their order."""

import functools
import gc
import itertools
import re
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

from runcast import Store
from tests.helpers.records import OwnRuns
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS

_numbers = itertools.count()
_CHOSEN_BY = {"slow", "fault", "browser", "hypothesis", "root", "meetings", "pythons"}
_unmarked: dict[str, bool] = {}  # by the expression of `-m`: whether it means tests without a mark

# In the background, or under nohup, these are ignored, and so they would be by all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let a test take longer on a slow machine, too: what it waits for is stretched by the same factor.

    By half of that, since a test that hangs is to be told while there is time for it.
    """
    if config.option.timeout is None:
        config.option.timeout = float(config.getini("timeout")) * max(1.0, 500 * MS)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without looking for garbage, and never look for any in what there is then.

    Some hundred thousand objects stay to the end: to walk them again and again took a tenth of the
    unit tests' time, and most of that of a test that asks for a `gc.collect()`.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file in which no test can be one of `-m`, since it names none of these marks.

    Each process of a run imports all that is left, and makes its tests: that of all files takes a
    processor ten seconds for the three tests in a hundred that need root.
    """
    wanted = config.option.markexpr
    if not wanted or not collection_path.name.startswith("test_"):
        return None
    if wanted not in _unmarked:
        _unmarked[wanted] = bool(Expression.compile(wanted).evaluate(lambda name, /, **_: False))
    return True if not _unmarked[wanted] and not _marks(collection_path, wanted) else None


@functools.cache
def _marks(path: Path, words: str) -> bool:
    """Return whether a file has one of these words as a mark; `hypothesis` is that of each property."""
    text = path.read_text()
    return any(f"mark.{word}" in text or word == "hypothesis" in text for word in re.findall(r"\w+", words))


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a mark that comes from elsewhere: `pytest_ignore_collect` would leave its file out."""
    for mark in item.iter_markers():
        if mark.name in _CHOSEN_BY and not _marks(item.path, mark.name):
            raise pytest.UsageError(f"expected `mark.{mark.name}` in {item.path} itself")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers begin with what takes longest, so that none of them is the last for long.

    That is the conformance suite, which mostly waits; then come the files with the most tests.
    """
    if hasattr(config, "workerinput"):
        sizes = Counter(item.path for item in items)
        items.sort(key=lambda item: (item.path.parent.name != "conformance", -sizes[item.path]))


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the stores of those tests that have no folder of their own."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture(autouse=True)
def own_store(request: pytest.FixtureRequest, stores: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a store of its own: no test sees the runs of the user or of another test.

    It lies in the test's folder, where a test has one: most do without, and are over sooner than
    a folder is made.
    """
    if "tmp_path" in request.fixturenames:
        store: Path = request.getfixturevalue("tmp_path") / "store"
    else:
        store = stores / f"store-{next(_numbers)}"
    monkeypatch.setenv("RUNCAST_STORE", str(store))
    monkeypatch.delenv("RUNCAST_SERVER", raising=False)
    return store


@pytest.fixture(autouse=True)
def own_runs() -> OwnRuns:
    """Give what leaves the runs of other tests out of a log; made before any run of this one."""
    return OwnRuns()


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture, own_runs: OwnRuns) -> Iterator[pytest.LogCaptureFixture]:
    """Capture what is logged, and nothing of the runs of other tests."""
    caplog.handler.addFilter(own_runs)
    yield caplog
    caplog.handler.removeFilter(own_runs)


@pytest.fixture
def store(own_store: Path) -> Iterator[Store]:
    """Give the test's own store, which `$RUNCAST_STORE` names; all that runs in it ends with the test."""
    with temporary_store(own_store) as store:
        yield store
