"""Fixtures that every test gets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.stores import temporary_store


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a store of its own: no test sees the runs of the user or of another test."""
    store = tmp_path / "store"
    monkeypatch.setenv("RUNCAST_STORE", str(store))
    monkeypatch.delenv("RUNCAST_SERVER", raising=False)
    return store


@pytest.fixture
def store(own_store: Path) -> Iterator[Store]:
    """Give the test's own store, which `$RUNCAST_STORE` names; all that runs in it ends with the test."""
    with temporary_store(own_store) as store:
        yield store
