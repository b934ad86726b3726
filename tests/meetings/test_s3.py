"""Servers of the S3 protocol that cannot be a shelf say so before anything is kept."""

import socket
import subprocess
from pathlib import Path

import pytest

from runcast.errors import ShelfDown
from runcast.shelf import open_shelf
from tests.helpers.ports import free_ports
from tests.helpers.s3 import CREDENTIALS, use_credentials
from tests.helpers.wait import MS, wait_until
from tests.helpers.workers import MEETINGS

pytestmark = [pytest.mark.meetings, pytest.mark.slow]


def listens(port: int) -> bool:
    """Return whether anybody listens on a port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """rclone's server replaces objects whatever the condition: nothing is kept there."""
    use_credentials(monkeypatch)
    (tmp_path / "data" / "runs").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"x")
    (port,) = free_ports(1)
    keys = f"{CREDENTIALS['AWS_ACCESS_KEY_ID']},{CREDENTIALS['AWS_SECRET_ACCESS_KEY']}"
    command = [str(MEETINGS / "rclone"), "--config", str(tmp_path / "none"), "serve", "s3"]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", keys, str(tmp_path / "data")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: listens(port), 20000 * MS, "rclone's server")
            shelf = open_shelf(f"s3://runs/kept?endpoint=http://127.0.0.1:{port}")

            with pytest.raises(ShelfDown, match="does not heed it"):
                shelf.keep("a/b", str(tmp_path / "file"))

            assert list(shelf.names()) == []
        finally:
            server.kill()
