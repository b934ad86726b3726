"""The API under an ASGI server and under a WSGI server: what holds for one holds for both."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server


@pytest.fixture(params=["uvicorn", "gunicorn"])
def server(
    request: pytest.FixtureRequest, serving: Callable[[str, Path], Server], store: Store, own_store: Path
) -> Server:
    """Serve the test's store."""
    return serving(request.param, own_store)
