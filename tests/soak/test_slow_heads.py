"""T14: slow heads in full: the server waits as long as users have it wait."""

from pathlib import Path

import pytest

from runcast import Store
from tests.integration.server.test_crowded import slow_heads

CLIENTS = 200
SECONDS = 16  # a head has 10

pytestmark = pytest.mark.slow


def test_slow_heads(store: Store, tmp_path: Path):
    """slowhttptest's clients, which send a line of a head every 4 s, are closed after 10 s."""
    slow_heads(tmp_path, CLIENTS, every=4, most=SECONDS)
