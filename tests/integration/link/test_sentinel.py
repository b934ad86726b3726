"""Links to whichever server sentinels say is the primary: TLS, users on both sides, what faults are told."""

from contextlib import closing
from pathlib import Path

import pytest

from runcast.errors import LinkDown, LinkError, LinkRefused
from runcast.link.opening import open_link
from runcast.testing import check_shipping
from tests.helpers.certificates import Pair, certificate
from tests.helpers.engines import SentinelServer, Server, redis, serving, valkey
from tests.helpers.ports import free_ports
from tests.helpers.wait import MS, wait_until
from tests.integration.link.test_engines import RIGHTS

ASKER = "user asker on >asked -@all +sentinel|master +@connection"

pytestmark = pytest.mark.slow


def encrypted(port: int, pair: Pair) -> dict[str, str]:
    """Return the options of a server that speaks TLS alone."""
    files = {"cert-file": pair.cert, "key-file": pair.key, "ca-cert-file": pair.cert}
    said = {"tls-port": str(port), "tls-auth-clients": "no", "tls-replication": "yes", "port": "0"}
    return said | {f"tls-{name}": str(path) for name, path in files.items()}


def failed(url: str) -> LinkError | None:
    """Return why a link cannot be opened; None if it can."""
    with closing(open_link(url)) as link:
        try:
            link.wait(link.hello())
        except LinkError as error:
            return error
    return None


def test_tls_and_users(tmp_path: Path):
    """Servers and sentinels have users of their own, and TLS with the same authority."""
    pair = certificate(tmp_path, "server")
    server, sentinel_port = Server(redis(), tmp_path / "server"), free_ports(1)[0]
    options = encrypted(server.port, pair)
    server.options = (
        *(word for name, value in options.items() for word in (f"--{name}", value)),
        *("--user", "alice", "on", ">secret", *RIGHTS),
    )
    sentinel = SentinelServer(redis(), tmp_path / "sentinel", server, ASKER, port=sentinel_port)
    lines = ["user default off", *(" ".join(one) for one in encrypted(sentinel_port, pair).items())]
    with open(sentinel.folder / "sentinel.conf", "a") as file:
        file.write("\n".join([*lines, ""]))
    try:
        for one in (server, sentinel):
            one.start()
        place = f"127.0.0.1:{sentinel_port}/main/0?ssl_ca_certs={pair.cert}"
        url = f"rediss+sentinel://alice:secret@{place}&sentinel_username=asker&sentinel_password="
        wait_until(lambda: failed(f"{url}asked") is None, 20000 * MS, "a sentinel that sees its server")
        with closing(open_link(f"{url}asked")) as ship, closing(open_link(f"{url}asked")) as mirror:
            check_shipping(ship, mirror, 1)

        refused = failed(f"{url}wrong")
        assert isinstance(refused, LinkRefused)
        assert f"expected 127.0.0.1:{sentinel_port} to let this user in" in str(refused)
        refused = failed(f"rediss+sentinel://alice:secret@{place}")
        assert isinstance(refused, LinkRefused)
        assert "give sentinel_username and sentinel_password in the URL" in str(refused)
        refused = failed(
            f"rediss+sentinel://alice:other@{place}&sentinel_username=asker&sentinel_password=asked"
        )
        assert isinstance(refused, LinkRefused)
        assert f"expected 127.0.0.1:{server.port} to let this user in" in str(refused)
        assert not {"secret", "asked", "wrong", "other"} & set(str(refused).split())
    finally:
        sentinel.kill()
        server.kill()


def test_faults_are_told(tmp_path: Path):
    """Another name, a server in place of a sentinel, and nobody at all are told apart."""
    with serving(valkey(), tmp_path / "server") as server:
        sentinel = SentinelServer(valkey(), tmp_path / "sentinel", server)
        try:
            sentinel.start()
            at = f"redis+sentinel://127.0.0.1:{sentinel.port}"
            wait_until(lambda: failed(f"{at}/main") is None, 20000 * MS, "a sentinel that sees its server")

            other = str(failed(f"{at},127.0.0.1:1/other"))
            assert f"primary 'other' which is up, there is none (127.0.0.1:{sentinel.port} knows no" in other
            assert "; 127.0.0.1:1 does not answer)" in other
            plain = failed(f"redis+sentinel://127.0.0.1:{server.port}/main")
            assert isinstance(plain, LinkRefused)
            assert "it is something else" in str(plain)
            server.command("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
            assert "set maxmemory-policy noeviction" in str(failed(f"{at}/main"))
        finally:
            sentinel.kill()
        gone = failed(f"{at}/main")
        assert isinstance(gone, LinkDown)
        assert f"127.0.0.1:{sentinel.port} does not answer" in str(gone)
