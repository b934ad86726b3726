"""Agents without a descriptor for one more client wait, instead of trying again and again."""

from pathlib import Path

import pytest

from tests.helpers.children import run_python

_MANY = """
    import os, resource, select, socket, sys, time
    from pathlib import Path
    from runcast.agent.agent import Agent
    from runcast.agent.solo import ShelfAgent
    from runcast.link.memory import MemoryEngine, MemoryLink
    from runcast.store.folder import make_store
    from runcast.store.links import LinkFile
    from runcast.store.mirrors import agent_socket, take_agent_lock

    store = sys.argv[1]
    make_store(store)
    held = take_agent_lock(store)
    if sys.argv[2] == "shelf":
        os.mkdir(store + "-shelf")
        agent = ShelfAgent(store, f"file://{store}-shelf", held)
    else:
        agent = Agent(store, MemoryLink(MemoryEngine()), LinkFile("memory:", None, "a"), held)
    for _ in range(20):  # it has connected, and looked at its store
        agent.turn(0)
    clients = []
    for _ in range(8):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].connect(agent_socket(store))
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 2, hard))
    turns, until = 0, time.monotonic() + 0.5
    while time.monotonic() < until:
        agent.turn(0.1)
        turns += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    clients[-1].sendall(b'{"op":"look"}\\n')
    clients[-1].setblocking(False)
    until, answer = time.monotonic() + 60, b""
    while not answer and time.monotonic() < until:
        agent.turn(0.1)
        try:
            answer = clients[-1].recv(100)
        except BlockingIOError:
            pass
    print("few" if turns < 100 else turns, b"ok" in answer)
    agent.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shelf", "link"])
def test_waits_for_a_descriptor(tmp_path: Path, kind: str):
    """It turns a few times while there is none, and hears all clients when there are some again."""
    assert run_python(_MANY, tmp_path / "s", kind) == "few True\n"
