"""Certificates for servers of tests, by openssl(1), for localhost and 127.0.0.1."""

import subprocess
from pathlib import Path
from typing import NamedTuple

_MAKE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
)
_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Pair(NamedTuple):
    """A certificate and its key."""

    cert: Path
    key: Path

    @property
    def options(self) -> list[str]:
        """Those of `runcast serve`."""
        return ["--tls-cert", str(self.cert), "--tls-key", str(self.key)]


def certificate(folder: Path, name: str = "server") -> Pair:
    """Return a certificate that signs itself, in new files."""
    pair = Pair(folder / f"{name}-cert.pem", folder / f"{name}-key.pem")
    command = [*_MAKE.split(), "-addext", _NAMES, "-out", str(pair.cert), "-keyout", str(pair.key)]
    subprocess.run(command, check=True, capture_output=True)
    return pair


def encrypted(key: Path) -> Path:
    """Return a copy of a key that has a passphrase."""
    copy = key.with_name("encrypted.pem")
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(key), "-out", str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    return copy
