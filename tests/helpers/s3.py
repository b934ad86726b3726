"""A server that speaks the protocol of Amazon S3: moto's, as a process, with its buckets in memory."""

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.helpers.ports import free_ports
from tests.helpers.wait import MS, wait_until

__all__ = ["CREDENTIALS", "S3Server", "s3_server", "use_credentials"]

_PATIENCE = 20000 * MS
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def use_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have these credentials in the environment, and no others on this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


class S3Server:
    """A server on a port of its own.

    Attributes:
        endpoint: its URL.
    """

    def __init__(self) -> None:
        (self._port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, with no buckets."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, _PATIENCE, "the server of S3")

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        urllib.request.urlopen(
            urllib.request.Request(
                f"{self.endpoint}/{name}",
                method="PUT",
                # The server looks at the form of a signature, and not whether it is right.
                headers={
                    "Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request"
                },
            )
        ).close()

    def checks(self, *, keys: bool) -> None:
        """Have it look from now on whether a key is one of a user with the right to do something, or not."""
        actions = b"0" if keys else b"Infinity"  # that are taken without
        address, headers = f"{self.endpoint}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, actions, headers)).close()

    def kill(self) -> None:
        """Kill it: what it has is gone."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the server of S3 has ended"
        try:
            urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json").close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Give a server with the empty bucket `runs`."""
    server = S3Server()
    server.start()
    try:
        server.make_bucket("runs")
        yield server
    finally:
        server.kill()
