"""A client whose network is gone says nothing, not even goodbye. It is noticed all the same."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.programs import unshare
from tests.helpers.servers import WSGI
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.fault, pytest.mark.root, pytest.mark.timeout(180)]

# Runs in a network of its own, which has a loopback only; switching that off is losing the network.
INSIDE = """
import fcntl, http.client, os, socket, struct, subprocess, sys, time

PORT, PATIENCE = 8080, 90  # seconds; the kernel by itself would take fifteen minutes

def network(up):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP * up))

def held():
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return sum(int(row[1].split(":")[1], 16) == PORT and row[3] in ("01", "04") for row in rows)

def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

def answers():
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0

network(up=True)
server = subprocess.Popen(sys.argv[1].split())
try:
    assert until(answers)
    clients = []
    for target in sys.argv[2:]:
        path, accept = target.split("=")
        client = socket.create_connection(("127.0.0.1", PORT))
        client.sendall(f"GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nAccept: {accept}\\r\\n\\r\\n".encode())
        clients.append(client)
        if "event" in accept:  # WSGI sends no head before a body; what was asked before is served
            assert b" 200 " in client.recv(4096)
    assert until(lambda: held() == len(clients)), held()
    network(up=False)
    assert until(lambda: held() == 0), f"{held()} of {len(clients)} are still held"
    print("all were noticed")
finally:
    server.kill()
    server.wait()
"""
SERVERS = {
    "serve": "{python} -m runcast serve --port 8080 --no-auth --store {store}",
    "gunicorn": "{python} -m gunicorn -b 127.0.0.1:8080 -k gthread --threads 9 --chdir {folder} served:app",
}


@pytest.fixture
def network() -> list[str]:
    """Return what gives a program a network of its own, which can be taken away."""
    return unshare("--net")


@pytest.mark.parametrize("kind", SERVERS)
def test_vanished_clients_are_freed(
    store: Store, tmp_path: Path, network: list[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Viewers of a silent and of a talking run, in text and in events, are freed when their network goes."""
    silent, talking = (
        store.start(["sleep", "600"]),
        store.start(["sh", "-c", "while echo; do sleep 0.1; done"]),
    )
    wait_until(lambda: talking.tail_offset > 0, timeout=9000 * MS)
    (tmp_path / "served.py").write_text(textwrap.dedent(WSGI))
    (tmp_path / "inside.py").write_text(INSIDE)
    monkeypatch.setenv("RUNCAST_STORE", store.path)
    command = SERVERS[kind].format(python=sys.executable, store=store.path, folder=tmp_path)
    paths = [f"/runs/{run.id}/log" for run in (silent, talking)]
    targets = [f"{path}={accept}" for path in paths for accept in ("text/plain", "text/event-stream")]
    try:
        done = subprocess.run(
            [*network, sys.executable, str(tmp_path / "inside.py"), command, *targets],
            capture_output=True,
            text=True,
        )
    finally:
        for run in (silent, talking):
            run.kill()
            run.wait()

    assert done.stdout.endswith("all were noticed\n"), done.stderr
