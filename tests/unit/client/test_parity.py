"""The client blocks or is awaited: the same names, parameters and first lines in both faces."""

import inspect

import pytest

from runcast import AsyncRun, Run
from runcast.client import AsyncClient, AsyncRemoteRun, Client, RemoteRun
from runcast.client.base import RemoteRunBase
from runcast.run.verbs_aio import AsyncVerbs
from runcast.run.verbs_sync import Verbs
from tests.test_parity import first_line, surface

PAIRS = [(Client, AsyncClient), (RemoteRun, AsyncRemoteRun)]
ITERATED = {"follow", "lines", "so_far", "list"}
OF_A_FOLDER = {"log", "request", "settle", "sizes", "want"}
"""What only somebody has who can read the store."""


def called(function: object) -> list[tuple[str, object, object, str]]:
    """Return how a function is called, both faces as one."""
    assert inspect.isfunction(function)
    return [
        (one.name, one.kind, one.default, str(one.annotation).replace("Async", ""))
        for one in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(("sync", "async_"), PAIRS, ids=["clients", "runs"])
def test_twins(sync: type, async_: type):
    """What the one has the other has, called alike, told alike; what blocks is awaited."""
    ours, theirs = surface(sync), surface(async_)
    assert ours.keys() == theirs.keys()
    for name, one in ours.items():
        other = theirs[name]
        assert first_line(one) == first_line(other) != "", name
        if not inspect.isfunction(one):
            assert one is other, name
            continue
        assert inspect.isfunction(other)
        assert called(one) == called(other), name
        if one is not other:
            assert inspect.iscoroutinefunction(other) == (name not in ITERATED), name


def test_verbs_of_a_run():
    """A run on a server has what a run here has, but for its folder; its verbs are the very same."""
    here = set(surface(Run)) - OF_A_FOLDER
    verbs = {name for name in vars(Verbs) if name[0] != "_"}

    assert here - set(surface(RemoteRun)) == set()
    assert verbs >= {
        "follow",
        "lines",
        "output",
        "wait",
        "stop",
        "kill",
        "signal",
        "send",
        "resize",
        "note",
        "read_artifact",
        "save_artifacts",
        "pin",
        "unpin",
    }
    assert verbs == {name for name in vars(AsyncVerbs) if name[0] != "_"}
    for of, faces in ((Verbs, (Run, RemoteRun)), (AsyncVerbs, (AsyncRun, AsyncRemoteRun))):
        for face in faces:
            assert all(surface(face)[name] is vars(of)[name] for name in verbs)


def test_with_blocks():
    """Each is used in a `with` of its own kind."""
    for sync, async_ in PAIRS:
        assert hasattr(sync, "__enter__")
        assert not hasattr(sync, "__aenter__")
        assert hasattr(async_, "__aenter__")
        assert not hasattr(async_, "__enter__")
    assert not hasattr(RemoteRunBase, "__enter__")
