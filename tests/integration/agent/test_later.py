"""Answers that come later: to input that a program of another host does not read yet."""

import os
import select
import threading
from pathlib import Path

import pytest

from runcast import Run
from runcast.agent import clients, later
from runcast.errors import HostUnreachable
from runcast.link.memory import MemoryLink
from tests.helpers.memory_hosts import Turns, agent_of, hosts
from tests.helpers.wait import MS

DEADLINE = 15000 * MS
SCRIPT = "while ! test -e go; do sleep 0.05; done; cat"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lost", ["with the link", "with the agent", "in silence"])
def test_answer_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str):
    """Nobody waits for ever: the answer is asked for again, or an error says that it does not come."""
    monkeypatch.setattr(clients, "_PENDING_SECONDS", 0.0)
    monkeypatch.setattr(later, "_EVERY_SECONDS", 0.1)
    with hosts(tmp_path) as two:
        a, b = two.agents
        run = two.a.start(["sh", "-c", SCRIPT], stdin="pipe", cwd=two.a.path)
        mirror = two.mirror(run)
        said: list[str] = []
        sender = threading.Thread(target=lambda: said.append(sent(mirror)))
        sender.start()
        two.until(lambda: b.control.busy, "somebody who waits")
        if lost == "with the link":
            lose_answer(two, Path(two.a.path, "go"))
        elif lost == "with the agent":
            a.close()
            os.close(a._lock_fd)
            two.agents[0] = agent_of(two.a.path, MemoryLink(two.engine), "a")
        else:
            monkeypatch.setattr(later, "_LOST_SECONDS", 1.0)
            two.agents.remove(a)  # it has no turn
        two.until(lambda: not sender.is_alive(), "the end of the waiting")
        if lost == "in silence":
            two.agents.insert(0, a)

        expected = {"with the link": "sent", "with the agent": "host a knows nothing of it any more"}
        assert expected.get(lost, "host a does not answer") in said[0]
        assert not b.control.busy
        run.kill()


def sent(run: Run) -> str:
    """Send a run more than a pipe takes; return what became of that."""
    try:
        run.send(b"x" * 100_000)
    except HostUnreachable as error:
        return str(error)
    return "sent"


def lose_answer(two: Turns, go: Path) -> None:
    """Have a program read its input, and cut all links before an agent passes on that it has."""
    go.touch()
    poller = select.poll()
    for fd in two.agents[0].control.descriptors():
        poller.register(fd, select.POLLIN)
    assert poller.poll(1000 * DEADLINE), "the answer of the run"
    for link in list(two.engine.links):
        assert isinstance(link, MemoryLink)
        link.cut()
