"""Two hosts: over a real engine, and in this process, where they take turns."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.engines import Server, serving, valkey
from tests.helpers.link_hosts import Host, linked_hosts
from tests.helpers.memory_hosts import Turns, hosts


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of Valkey."""
    with serving(valkey(), tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def two(tmp_path: Path, engine: Server) -> Iterator[list[Host]]:
    """Two hosts."""
    engine.clear()
    with linked_hosts(tmp_path, engine.url, "rc:") as hosts:
        yield hosts


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Turns]:
    """Two hosts in this process."""
    with hosts(tmp_path) as turns:
        yield turns
