"""A disk that fills in the middle of an append: 507 with the offset that was kept; then all is as before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.disk import small_disk
from tests.helpers.servers import Server

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.root]

APP = """
    from runcast import Store
    from runcast.web.asgi import RunsASGI
    app = RunsASGI(Store({store!r}))
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 2 MiB."""
    with small_disk(tmp_path / "disk", 2 * 1024 * 1024) as place:
        yield place


def test_full_disk(disk: Path, tmp_path: Path) -> None:
    """Nothing of the append is kept; when there is room again, the same request is taken."""
    headers = {"Content-Type": "text/plain", "Producer-Id": "p", "Producer-Epoch": "0"}
    with Server(tmp_path, "uvicorn", APP.format(store=str(disk / "store"))) as server:
        server.ask("PUT", "/v1/stream/s", b"kept", **headers)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1_500_000))
        status, told, body = server.ask("POST", "/v1/stream/s", bytes(1_000_000), Producer_Seq="0", **headers)

        assert (status, told["stream-next-offset"]) == (507, "0" * 19 + "4")
        assert b"nothing of it was stored" in body
        assert server.ask("GET", "/v1/stream/s")[2] == b"kept"
        ballast.unlink()
        status, told, _ = server.ask("POST", "/v1/stream/s", bytes(1_000_000), Producer_Seq="0", **headers)
        assert (status, int(told["stream-next-offset"])) == (200, 1_000_004)
        assert server.ask("GET", "/v1/stream/s")[2] == b"kept" + bytes(1_000_000)
