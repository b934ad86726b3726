"""Fixtures that every test gets."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.stores import temporary_store

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def own_store(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Give each test a store of its own: no test sees the runs of the user or of another test.

    It lies in the test's folder, where a test has one: most do without, and are over sooner than
    a folder is made.
    """
    if "tmp_path" in request.fixturenames:
        store: Path = request.getfixturevalue("tmp_path") / "store"
    else:
        store = tmp_path_factory.getbasetemp() / f"store-{next(_numbers)}"
    monkeypatch.setenv("RUNCAST_STORE", str(store))
    monkeypatch.delenv("RUNCAST_SERVER", raising=False)
    return store


@pytest.fixture
def store(own_store: Path) -> Iterator[Store]:
    """Give the test's own store, which `$RUNCAST_STORE` names; all that runs in it ends with the test."""
    with temporary_store(own_store) as store:
        yield store
