"""A server for the client: the test's own store, under uvicorn, for whoever asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import ASGI, Server


@pytest.fixture
def server(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve the test's store, any command allowed."""
    monkeypatch.delenv("RUNCAST_TOKEN", raising=False)
    with Server(tmp_path, "uvicorn", ASGI) as running:
        yield running
