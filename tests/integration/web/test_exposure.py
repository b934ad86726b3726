"""Who mounts everything for everybody is warned, in each framework, once it is reached from elsewhere."""

from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server
from tests.integration.web.mounted import mounted_code, prefix_of

pytestmark = pytest.mark.slow
WARNING = b"anybody who reaches this server may"
SERVES = [
    ("gunicorn", "flask"),
    ("gunicorn", "bottle"),
    ("itself", "cherrypy"),
    ("uvicorn", "django-asgi"),
    ("uvicorn", "starlette"),
    ("uvicorn", "asgi"),
]


@pytest.mark.parametrize("serves", SERVES, ids="-".join)
def test_warning(store: Store, tmp_path: Path, serves: tuple[str, str]) -> None:
    """There is no warning for clients of this machine; for a stranger behind a proxy there is one."""
    name, framework = serves
    log = tmp_path / "server.log"
    runs = f"{prefix_of(framework)}/runs"
    with Server(tmp_path, name, mounted_code(framework)) as server:
        assert server.ask("GET", runs)[0] == 200
        assert server.ask("GET", runs, X_Forwarded_For="192.0.2.7", Cookie="session=x")[0] == 200
        assert WARNING not in log.read_bytes()

        for _ in range(3):
            assert server.ask("GET", runs, X_Forwarded_For="192.0.2.7")[0] == 200
        assert log.read_bytes().count(WARNING) == 1
