"""Files that are kept with a run are listed and read on every host, whole or not at all."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Run
from runcast.agent.kept_files import PIECE_BYTES
from runcast.errors import ArtifactAway, ArtifactNotFound
from runcast.run.base import files_of
from runcast.testing.faulty_link import FaultyLink
from tests.helpers.cli import cli
from tests.helpers.engines import Server
from tests.helpers.link_hosts import PATIENCE, linked_hosts
from tests.helpers.memory_hosts import Turns, hosts
from tests.helpers.servers import ASGI, WSGI
from tests.helpers.servers import Server as Web
from tests.helpers.wait import MS, wait_until

DEADLINE = 15000 * MS
SIZES = {"empty": 0, "one": 1, "piece": PIECE_BYTES, "more": PIECE_BYTES + 1, "out/large": 1_500_000}

pytestmark = pytest.mark.slow


def content(name: str) -> bytes:
    """Return what a file of a size has."""
    line = b"".join(b"%s %09d\n" % (name.encode(), number) for number in range(SIZES[name] // 10 + 1))
    return line[: SIZES[name]]


def kept(store: object, folder: Path) -> Run:
    """Return a run that is over and has the files."""
    for name in SIZES:
        path = folder / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name))
    run: Run = store.start(["true"], cwd=str(folder / "work"), artifacts=["**", "none"])  # type: ignore[attr-defined]
    run.wait(timeout=DEADLINE)
    assert len(run.artifacts) == len(SIZES)
    return run


def meanwhile(turns: Turns, call: Callable[[], object]) -> object:
    """Return what a call returns, or the error that it raises, while the agents take turns."""
    found: list[object] = []

    def work() -> None:
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    turns.until(lambda: not thread.is_alive())
    thread.join()
    return found[0]


def on_disk(mirror: Run) -> set[str]:
    """Return the files of a mirror that are here."""
    folder = Path(files_of(mirror).path, "artifacts")
    return set(os.listdir(folder)) if folder.is_dir() else set()


def whole(mirror: Run) -> set[str]:
    """Return those that are here as a whole: a request that was late may begin to bring one again."""
    return {name for name in on_disk(mirror) if name.isdecimal()}


def test_listed_and_read(turns: Turns, tmp_path: Path):
    """A stub has the list with names and sizes; the bytes come when they are read, and each file once."""
    run = kept(turns.a, tmp_path)
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.artifacts)
    assert mirror.artifacts == run.artifacts
    assert mirror.to_json()["artifacts"] == run.to_json()["artifacts"]
    assert mirror.left_out == run.left_out
    assert on_disk(mirror) == set()

    for name in SIZES:
        assert meanwhile(turns, lambda name=name: mirror.read_artifact(name)) == content(name)  # type: ignore[misc]
    assert on_disk(mirror) == {str(number) for number in range(len(SIZES))}
    assert isinstance(meanwhile(turns, lambda: mirror.read_artifact("nothing")), ArtifactNotFound)
    folder = tmp_path / "saved"
    meanwhile(turns, lambda: mirror.save_artifacts(folder))
    assert {name: (folder / name).read_bytes() for name in SIZES} == {name: content(name) for name in SIZES}
    assert mirror.read_artifact("more") == content("more")  # without any agent's turn


@pytest.mark.parametrize("left", [0, 5])
def test_damaged_here(turns: Turns, tmp_path: Path, left: int):
    """A file that was brought, and lost bytes since, as at a loss of power, is brought again."""
    run = kept(turns.a, tmp_path)
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.artifacts)
    assert meanwhile(turns, lambda: mirror.read_artifact("more")) == content("more")
    (name,) = on_disk(mirror)
    os.truncate(f"{files_of(mirror).path}/artifacts/{name}", left)

    assert meanwhile(turns, lambda: mirror.read_artifact("more")) == content("more")


@pytest.mark.parametrize("seed", range(2))
def test_faulty_links(tmp_path: Path, seed: int):
    """With requests lost, doubled, delayed and connections cut a file is the same, or there is an error."""
    with hosts(tmp_path, lambda link: FaultyLink(link, seed, 0.03)) as turns:
        run = kept(turns.a, tmp_path)
        mirror = turns.mirror(run)
        turns.until(lambda: mirror.artifacts)

        def whole() -> bool:
            found = meanwhile(turns, lambda: mirror.read_artifact("out/large"))
            assert isinstance(found, ArtifactAway) or found == content("out/large")
            return not isinstance(found, ArtifactAway)

        turns.until(whole)


def test_pieces_are_few_at_once(turns: Turns, tmp_path: Path):
    """However large files are, a few pieces are under way, and output comes meanwhile."""
    run = kept(turns.a, tmp_path)
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.artifacts)
    agent = turns.agents[1]
    numbers = {one.name: number for number, one in enumerate(run.artifacts)}
    for name in ("out/large", "more", "one"):
        assert agent.kept_files.want(run.id, numbers[name]) == {"bytes": 0}
    assert len(turns.engine.asks.get("a", [])) + len(turns.engine.runs) < 20
    live = turns.a.start(["sh", "-c", "seq 1 2000"])
    other = turns.mirror(live)

    def come() -> bool:
        agent.mirrors.want(live.id, time.monotonic())
        return other.closed

    turns.until(come)
    turns.until(lambda: {str(numbers["one"]), str(numbers["more"])} <= on_disk(mirror))
    turns.until(lambda: str(numbers["out/large"]) in on_disk(mirror))


@pytest.mark.parametrize("damage", ["shorter", "gone", "another"])
def test_damaged_at_its_host(turns: Turns, tmp_path: Path, damage: str):
    """A file that is not what was kept is an error that says so, and nothing of it is here."""
    run = kept(turns.a, tmp_path)
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.artifacts)
    number = next(at for at, one in enumerate(run.artifacts) if one.name == "out/large")
    path = Path(files_of(run).path, "artifacts", str(number))
    if damage == "shorter":
        path.write_bytes(content("out/large")[:-1])
    elif damage == "gone":
        path.unlink()
    else:
        agent = turns.agents[1]
        agent.kept_files.want(run.id, number)
        turns.until(lambda: agent.kept_files._bringing[run.id, number].come > PIECE_BYTES)
        path.unlink()
        path.write_bytes(content("out/large").swapcase())
    said = meanwhile(turns, lambda: mirror.read_artifact("out/large"))

    assert isinstance(said, ArtifactAway)
    assert "host a says" in str(said)
    assert on_disk(mirror) == set()


def test_host_is_silent(turns: Turns, tmp_path: Path):
    """Of a host that does not answer the list is here, and a file is an error that names the host."""
    run = kept(turns.a, tmp_path)
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.artifacts)
    gone = turns.agents.pop(0)
    gone.close()
    os.close(gone._lock_fd)
    turns.engine.leases["a"] = (time.monotonic() - 60, turns.engine.leases["a"][1])
    turns.until(lambda: "a" in turns.agents[0].hosts.silent)
    said = meanwhile(turns, lambda: mirror.read_artifact("one"))

    assert isinstance(said, ArtifactAway)
    assert "it is on host a, which is silent" in str(said)
    assert said.http_status == 503


def test_held_to_a_bound(turns: Turns, tmp_path: Path):
    """Beyond the bound the files that were read longest ago go; who has one open reads it to its end."""
    run = kept(turns.a, tmp_path)
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.artifacts)
    for name in SIZES:
        meanwhile(turns, lambda name=name: mirror.read_artifact(name))  # type: ignore[misc]
    numbers = {one.name: str(number) for number, one in enumerate(run.artifacts)}
    for age, name in enumerate(("more", "out/large", "piece", "one", "empty")):
        os.utime(Path(files_of(mirror).path, "artifacts", numbers[name]), (1000.0 - age,) * 2)
    opened = os.open(Path(files_of(mirror).path, "artifacts", numbers["out/large"]), os.O_RDONLY)

    turns.agents[1].kept_files.make_room(run.id, SIZES["more"] + 10, 60.0)
    assert whole(mirror) == {numbers["more"]}
    assert os.pread(opened, 2_000_000, 0) == content("out/large")
    os.close(opened)
    assert meanwhile(turns, lambda: mirror.read_artifact("out/large")) == content("out/large")
    turns.agents[1].kept_files.make_room(run.id, 0, 60.0)
    assert whole(mirror) == {numbers["out/large"]}  # it was read just now


def test_nobody_waits_any_more(turns: Turns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that nobody asks for any more is not brought to its end, and leaves nothing."""
    from runcast.agent import kept_files

    run = kept(turns.a, tmp_path)
    mirror = turns.mirror(run)
    turns.until(lambda: mirror.artifacts)
    number = next(at for at, one in enumerate(run.artifacts) if one.name == "out/large")
    agent = turns.agents[1]
    agent.kept_files.want(run.id, number)
    monkeypatch.setattr(kept_files, "_WANTED_SECONDS", -1.0)
    turns.until(lambda: not agent.kept_files.busy)
    assert on_disk(mirror) == set()


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn-gevent"])
def test_served_elsewhere(tmp_path: Path, engine: Server, kind: str):
    """A server on another host serves them as inertly as the first; while the host is gone there is a 503."""
    code = ASGI if kind == "uvicorn" else WSGI
    with linked_hosts(tmp_path, engine.url, f"{kind}:") as (a, b):
        run = kept(a.store, tmp_path)
        mirror = b.get(run)
        wait_until(lambda: mirror.artifacts, PATIENCE, "the list")
        folder = tmp_path / "server"
        folder.mkdir()
        with Web(folder, kind, code, store=b.store) as server:
            first = Web(folder.parent, kind, code, store=a.store)
            with first:
                heads = [one.ask("HEAD", f"/runs/{run.id}/artifacts/out/large") for one in (first, server)]
            assert [(head[0], head[1]["content-length"], head[2]) for head in heads] == [
                (200, "1500000", b"")
            ] * 2
            assert len({head[1]["etag"] for head in heads}) == 1
            tag = heads[0][1]["etag"]
            known = server.ask("GET", f"/runs/{run.id}/artifacts/out/large", If_None_Match=tag)
            assert known[0] == 304
            assert on_disk(mirror) == set()
            status, headers, body = server.ask("GET", f"/runs/{run.id}/artifacts/out/large")
            assert (status, body) == (200, content("out/large"))
            assert headers["etag"] == tag
            assert headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert headers["content-disposition"].startswith("attachment")
            part = server.ask("GET", f"/runs/{run.id}/artifacts/more", Range="bytes=10-19")
            assert (part[0], part[2]) == (206, content("more")[10:20])
            a.end()
            status, headers, body = server.ask("GET", f"/runs/{run.id}/artifacts/piece")
            assert (status, headers["content-type"]) == (503, "application/problem+json")
            assert b"it is on host a, which does not answer" in body or b"is silent" in body
            assert server.ask("GET", f"/runs/{run.id}/artifacts/out/large")[2] == content("out/large")
        done = cli("--store", b.store.path, "artifacts", run.id, "piece")
        assert done.code != 0
        assert "it is on host a" in done.err
        a.settings.write(a.store.path)
        a.begin()
        assert wait_until(lambda: cli("--store", b.store.path, "artifacts", run.id, "piece").out, PATIENCE)
