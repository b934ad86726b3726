"""A server for the client: the test's own store, under uvicorn, for whoever asks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server


@pytest.fixture
def server(
    store: Store,
    own_store: Path,
    serving: Callable[[str, Path], Server],
    monkeypatch: pytest.MonkeyPatch,
) -> Server:
    """Serve the test's store, any command allowed."""
    monkeypatch.delenv("RUNCAST_TOKEN", raising=False)
    return serving("uvicorn", own_store)
