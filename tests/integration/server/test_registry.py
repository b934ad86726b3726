"""The register of servers: which are listed, and which are removed, however a server ended."""

import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

from runcast.store.servers import outside_url, registered, servers
from tests.helpers.children import run_python

URL = "http://127.0.0.1:8765/"


def test_told_while_it_lives(own_store: Path):
    """A server is listed as long as it serves, and leaves no file behind."""
    with registered(str(own_store), URL):
        listed = servers(str(own_store))

    assert listed == [URL]
    assert servers(str(own_store)) == []
    assert os.listdir(own_store / ".servers") == []


def test_the_file(own_store: Path):
    """The file names the process and the URL, for nobody but the user."""
    with registered(str(own_store), URL):
        path = own_store / ".servers" / f"{os.getpid()}.json"
        value = json.loads(path.read_text())
        mode = stat.S_IMODE(path.stat().st_mode)

    assert (value["url"], value["pid"]) == (URL, os.getpid())
    assert value["started_at"] > 0
    assert mode == 0o600


def test_outside(own_store: Path):
    """A server has a URL for other machines besides its own; one that has none there, only its own."""
    store = str(own_store)
    with registered(store, URL, "http://192.168.1.20:8765/"), registered(store, "http://localhost:1/"):
        found = [outside_url(store, url) for url in servers(store)]

    assert found == ["http://localhost:1/", "http://192.168.1.20:8765/"]
    assert outside_url(store, URL) == URL  # gone meanwhile


def test_several(own_store: Path):
    """Several servers of one store are listed, the latest first; two of one process id (containers), too."""
    with registered(str(own_store), "http://a/"), registered(str(own_store), "http://b/"):
        listed = servers(str(own_store))

    assert listed == ["http://b/", "http://a/"]


def test_killed_server_is_forgotten(own_store: Path):
    """The entry of a killed server is not listed, and is removed."""
    code = """
        import os, signal, sys
        from runcast.store.servers import registered
        with registered(sys.argv[1], "http://gone/"):
            print(os.getpid(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(own_store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert os.listdir(own_store / ".servers") == [f"{done.stdout.strip()}.json"]

    assert servers(str(own_store)) == []
    assert os.listdir(own_store / ".servers") == []


def test_damaged_file(own_store: Path):
    """A file that says nothing is passed over."""
    with registered(str(own_store), URL):
        for name, text in (("1.json", ""), ("2.json", "[]"), ("3.json", '{"url": 1}')):
            (own_store / ".servers" / name).write_text(text)

        assert servers(str(own_store)) == [URL]


def test_no_store(own_store: Path):
    """A store that nobody has used has no servers, and is not made by asking."""
    assert servers(str(own_store)) == []
    assert not own_store.exists()


def test_store_that_cannot_be_written(tmp_path: Path):
    """A server that cannot register serves all the same."""
    (tmp_path / "file").write_text("")

    with registered(str(tmp_path / "file"), URL):
        assert servers(str(tmp_path / "file")) == []


def test_costs_nothing():
    """Whoever starts a run can ask for servers without the packages of a server."""
    code = """
        import sys
        import runcast.store.servers
        print(*sorted({"asyncio", "starlette", "uvicorn", "msgspec", "prometheus_client"} & set(sys.modules)))
    """

    assert run_python(code).strip() == ""
