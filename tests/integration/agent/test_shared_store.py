"""A store that is named by the URL of an engine: the same verbs, over the runs of several hosts."""

import contextlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from runcast import Run, Store
from runcast.errors import RunExists, RunNotFound, StoreUnusable
from runcast.log.segments import segment_name
from runcast.run.base import files_of
from runcast.store.links import read_link, read_status
from runcast.supervisor import agents
from tests.helpers.cli import cli
from tests.helpers.engines import Server
from tests.helpers.link_hosts import PATIENCE, Host, linked_hosts
from tests.helpers.ports import free_ports
from tests.helpers.servers import ASGI, WSGI
from tests.helpers.servers import Server as Web
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def hosts(tmp_path: Path, engine: Server) -> Iterator[list[Host]]:
    """Four hosts."""
    engine.command("FLUSHALL")
    with linked_hosts(tmp_path, engine.url, "rc:", "abcd") as hosts:
        yield hosts


def test_opened_by_url(tmp_path: Path, engine: Server):
    """`Store.open` and `--store` take the URL of an engine, and runs of other hosts are listed and read."""
    with linked_hosts(tmp_path, engine.url, "url:", "a") as (a,), temporary_store(tmp_path / "b") as b:
        url = f"{engine.url}?store={b.path}&host=b&prefix=url:"
        opened = Store.open(url)
        settings = read_link(b.path)
        assert (opened.path, settings and settings.host) == (b.path, "b")
        run = a.store.start(["sh", "-c", "echo one; echo two; exit 3"])
        run.wait(timeout=PATIENCE)

        wait_until(lambda: run.id in opened.ids(), PATIENCE)  # `get` waits for 2 s
        found = opened.get(run.id)
        assert found.output(timeout=PATIENCE) == "one\ntwo\n"
        listed = cli("--store", url, "ls", "--json")
        assert json.loads(listed.out)["id"] == run.id
        other = a.store.start(["sh", "-c", "seq 1 50000"])
        other.wait(timeout=PATIENCE)
        wait_until(lambda: other.id in opened.ids(), PATIENCE)
        last = ("log", "--tail", "1", other.id)  # of what is here
        wait_until(lambda: cli("--store", url, *last).out == b"50000\n", PATIENCE, "its last line")
        with pytest.raises(RunNotFound):
            opened.get("01" + "z" * 24)
        Path(b.path, "link.json").unlink()


def test_first_list(tmp_path: Path, hosts: list[Host], engine: Server, monkeypatch: pytest.MonkeyPatch):
    """The first list of a host that has just come has the runs of all others."""
    run = hosts[0].store.start(["true"])
    run.wait(timeout=PATIENCE)
    wait_until(lambda: run.id in hosts[1].store.ids(), PATIENCE)

    with temporary_store(tmp_path / "new") as store:
        monkeypatch.setattr(agents, "_LIST_SECONDS", PATIENCE)  # however busy this machine is
        assert run.id in Store.open(f"{engine.url}?store={store.path}&host=new").ids()
        Path(store.path, "link.json").unlink()


def test_shelf(tmp_path: Path, engine: Server):
    """Output that this disk and the engine have let go is read on either host, from the shelf of the URL."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with temporary_store(tmp_path / "a") as one, temporary_store(tmp_path / "b") as two:
        rules = quote(f"file://{shelf}?link_age=0&local_bytes=0")
        a, b = (
            Store.open(f"{engine.url}?store={path}&host={path[-1]}&prefix=shelf:&shelf={rules}")
            for path in (one.path, two.path)
        )
        run = a.start(["sh", "-c", "seq 1 300000"])
        run.wait(timeout=PATIENCE)
        path = Path(files_of(run).log_path, segment_name(0))
        wait_until(lambda: engine.command("XLEN", f"shelf:{{{run.id}}}log") == 0, PATIENCE)
        wait_until(lambda: not path.exists(), 2 * PATIENCE)
        expected = "".join(f"{number}\n" for number in range(1, 300_001))

        assert b.get(run.id).output(timeout=PATIENCE) == expected
        assert run.output(timeout=PATIENCE) == expected
        for store in (one, two):
            Path(store.path, "link.json").unlink()


def test_one_run_for_a_key(hosts: list[Host]):
    """Of hosts that start a key at once one starts the run; the others have it, too."""
    for host in hosts:
        host.begin()
    found: list[Run] = []
    threads = [
        threading.Thread(target=lambda host=host: found.append(host.store.start(["sleep", "600"], key="job")))
        for host in hosts
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len({run.id for run in found}) == 1
    owners = [host for host in hosts if files_of(Run(f"{host.store.path}/{found[0].id}")).mirror_of is None]
    assert len(owners) == 1
    other = next(host for host in hosts if host is not owners[0])
    with pytest.raises(RunExists, match="was started with other options"):
        other.store.start(["sleep", "5"], key="job")
    found[0].kill()
    Run(f"{owners[0].store.path}/{found[0].id}").wait(timeout=PATIENCE)
    owners[0].store.remove(found[0].id)


def test_engine_that_is_down(tmp_path: Path):
    """Without an engine runs start as ever, a key holds here, and `ls` says that nothing is shared."""
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    with linked_hosts(tmp_path, url, "rc:", "a") as (a,):
        a.begin()
        wait_until(lambda: getattr(read_status(a.store.path), "message", None), PATIENCE, "what is wrong")
        run = a.store.start(["echo", "words"], key="job")
        assert run.output(timeout=PATIENCE) == "words\n"
        assert a.store.start(["echo", "words"], key="job").id == run.id
        listed = cli("--store", a.store.path, "ls")
        assert run.id.encode() in listed.out
        assert "not shared with other hosts since" in listed.err
        assert "expected a server at 127.0.0.1" in listed.err


@pytest.mark.parametrize(
    ("package", "extra", "url"),
    [
        ("psycopg", "postgres", "postgresql://localhost/db?store={}/s"),
        ("botocore", "s3", "redis://localhost/0?store={}/s&shelf=s3://runs"),
        ("botocore", "s3", "file:{}/s?shelf=s3://runs"),
    ],
)
def test_without_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, url: str
):
    """Where what speaks to engine or shelf is not installed, the URL is refused, with what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StoreUnusable, match=rf"pip install 'runcast\[{extra}\]'"):
        Store.open(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


REQUESTS: list[tuple[str, dict[str, str]]] = [
    ("/runs/{id}/log", {}),
    ("/runs/{id}/log?tail=3", {}),
    ("/runs/{id}/log?line=101&format=text", {}),
    ("/runs/{id}/log?until=line++150", {}),
    ("/runs/{id}/log", {"Range": "bytes=500-900"}),
    ("/runs/{id}/log", {"Accept": "text/event-stream"}),
    ("/runs/{id}/log?format=json&offset=1001&wait=5", {}),
    ("/runs/{id}/search?q=line++.9&regex=1", {}),
    ("/v1/stream/runs/{id}?offset=00000000000000003000&live=long-poll", {}),
]


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn-gevent"])
def test_served_elsewhere(tmp_path: Path, engine: Server, kind: str):
    """A server on another host gives the same replies, for a run of which nothing was there before."""
    code = ASGI if kind == "uvicorn" else WSGI
    with linked_hosts(tmp_path, engine.url, f"{kind}:") as (a, b), contextlib.ExitStack() as stack:
        servers = []
        for host in (a, b):
            folder = tmp_path / f"server-{host.name}"
            folder.mkdir()
            servers.append(stack.enter_context(Web(folder, kind, code, store=host.store)))
        script = "for i in $(seq 200); do printf 'line %4d of many\\n' $i; done"
        requests = REQUESTS if kind == "uvicorn" else REQUESTS[::3]  # threads have one way to wait for all
        runs = [a.store.start(["sh", "-c", script]) for _ in requests]
        for run, (path, headers) in zip(runs, requests, strict=True):
            run.wait(timeout=PATIENCE)
            mirror = b.get(run)
            wait_until(lambda mirror=mirror: mirror.outcome, PATIENCE)  # type: ignore[misc]
            assert not mirror.closed
            expected, found = (server.ask("GET", path.format(id=run.id), **headers) for server in servers)
            assert (path, found[0], said(found[2])) == (path, expected[0], said(expected[2]))
            assert expected[0] in (200, 206)

        live = a.store.start(["sh", "-c", "echo one; read word; echo $word"], stdin="pipe")
        b.get(live)
        with servers[1].stream(f"/runs/{live.id}/log?follow=1") as response:
            assert response.read1() == b"one\n"
            assert servers[1].ask("POST", f"/runs/{live.id}/stdin", b"two\n", X_Runcast="1")[0] == 204
            assert response.read() == b"two\n"


def said(body: bytes) -> bytes:
    """Return what a reply says, without what differs by time or host, and if the log was closed so soon."""
    soon = rb'"closed":(?:true|false)|"next_url":(?:null|"[^"]*")'
    place = rb'"host":\{[^}]*\}'  # whose "here" is the other way around
    return re.sub(rb'"streamCursor":"\d+"|"disk_bytes":\d+|' + place + b"|" + soon, b"", body)
