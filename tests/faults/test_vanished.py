"""A client whose network is gone says nothing, not even goodbye. It is noticed all the same."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from tests.helpers.programs import unshare
from tests.helpers.servers import WSGI
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.fault, pytest.mark.root, pytest.mark.timeout(600)]

# Runs in a network of its own, which has a loopback only; switching that off is losing the network.
INSIDE = """
import fcntl, http.client, os, socket, struct, subprocess, sys, time

PORT, PATIENCE = 8080, 240  # seconds; the kernel by itself would take fifteen minutes

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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Start all of them at once, each with viewers: most of the time is the kernel's."""
    folder = tmp_path_factory.mktemp("vanished")
    with temporary_store(folder / "store") as store, contextlib.ExitStack() as stack:
        silent = store.start(["sleep", "600"])
        talking = store.start(["sh", "-c", "while echo; do sleep 0.1; done"])
        wait_until(lambda: talking.tail_offset > 0, timeout=9000 * MS)
        (folder / "served.py").write_text(textwrap.dedent(WSGI))
        (folder / "inside.py").write_text(INSIDE)
        paths = [f"/runs/{run.id}/log" for run in (silent, talking)]
        targets = [f"{path}={accept}" for path in paths for accept in ("text/plain", "text/event-stream")]
        alone = [*unshare("--net"), sys.executable, str(folder / "inside.py")]
        found = {}
        for kind, command in SERVERS.items():
            command = command.format(python=sys.executable, store=store.path, folder=folder)
            process = subprocess.Popen(
                [*alone, command, *targets],
                env=os.environ | {"RUNCAST_STORE": store.path},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.send_signal, signal.SIGINT)  # it ends its server, which may be here still
            found[kind] = process
        yield found


@pytest.mark.parametrize("kind", SERVERS)
def test_vanished_clients_are_freed(served: dict[str, subprocess.Popen[str]], kind: str) -> None:
    """Viewers of a silent and of a talking run, in text and in events, are freed when their network goes."""
    said, errors = served[kind].communicate()

    assert said.endswith("all were noticed\n"), errors
