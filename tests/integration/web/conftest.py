"""The API under an ASGI server and under a WSGI server: what holds for one holds for both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import ASGI, WSGI, Server


@pytest.fixture(params=["uvicorn", "gunicorn"])
def server(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Server]:
    """Serve the test's store."""
    code = ASGI if request.param == "uvicorn" else WSGI
    with Server(tmp_path, request.param, code) as running:
        yield running
