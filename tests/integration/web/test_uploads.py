"""Files as parameters: through every adapter, by clients and the command line; who may not send them."""

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runcast import Store
from runcast.client import AsyncClient, Client
from runcast.client.form import Form
from runcast.errors import UploadGone, UsageError
from runcast.sysio.uploads import upload_of
from tests.helpers.cli import cli
from tests.helpers.servers import LONG, Server
from tests.integration.server.test_serve import serving as serve
from tests.integration.web.mounted import mounted_code, prefix_of

pytestmark = pytest.mark.slow

DATA = os.urandom(3 * 1024 * 1024)  # more than any other body may have
SUM = hashlib.sha256(DATA).hexdigest()
OPTIONS = """{
    "commands": {"sum": {
        "command": ["sh", "-c", 'sha256sum "$1" | cut -c-64; echo "${1##*/} $2"', "sh", "{data}", "{n}"],
        "params": {
            "data": {"type": "file", "max_bytes": "4M", "accept": [".csv", ".bin"]},
            "n": {"type": "int", "default": 3},
        },
    }},
    "authorize": lambda verb, run, request: ALLOWED,
}"""
ADAPTERS = [
    *(("gunicorn", name) for name in ("flask", "bottle", "cherrypy", "django-wsgi", "wsgi")),
    *(("uvicorn", name) for name in ("starlette", "fastapi", "django-asgi", "asgi")),
]


def code(name: str, allowed: bool = True) -> str:
    """Return an application of a framework with a command that takes a file."""
    text = mounted_code(name, OPTIONS.replace("ALLOWED", str(allowed)))
    return text.replace("RunsWSGI()", "RunsWSGI(**OPTIONS)").replace("RunsASGI()", "RunsASGI(**OPTIONS)")


def form(data: bytes = DATA, name: str = "data.csv", **more: str) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a start with a file."""
    upload = upload_of("data", data)
    upload.name = name
    made = Form({"name": "sum", **more, "p.data": upload})
    return b"".join(made), {"Content_Type": made.content_type, "X_Runcast": "1"}


@contextlib.contextmanager
def serving(folder: Path, store: Store, kind: str, name: str, *, allowed: bool = True) -> Iterator[Server]:
    """Serve that application."""
    with Server(folder, kind, code(name, allowed), store=store) as server:
        yield server


@pytest.mark.parametrize(("kind", "name"), ADAPTERS, ids=[name for _, name in ADAPTERS])
def test_adapters(store: Store, tmp_path: Path, kind: str, name: str):
    """Through every adapter a file comes whole into the run's folder; what is too long or unfit does not."""
    with serving(tmp_path, store, kind, name) as server:
        runs = f"{prefix_of(name)}/runs"
        body, headers = form(**{"p.n": "5"})
        status, _, reply = server.ask("POST", runs, body, **headers)
        assert status == 201, reply
        run = store.get(json.loads(reply)["id"])
        assert run.output(timeout=LONG).split() == [SUM, "data.csv", "5"]
        assert run.params == {"data": "data.csv", "n": 5}
        assert Path(run.command[-2]).read_bytes() == DATA
        assert (run.disk_bytes or 0) > len(DATA)

        body, headers = form(b"x", name="data.exe")
        status, _, reply = server.ask("POST", runs, body, **headers)
        assert (status, "ends with .csv or .bin" in json.loads(reply)["detail"]) == (400, True)
        body, headers = form(b"x" * (4 * 1024 * 1024 + 1))
        status, _, reply = server.ask("POST", runs, body, **headers)
        assert (status, "at most 4194304 bytes" in json.loads(reply)["detail"]) == (400, True)
    assert [one.id for one in store.list()] == [run.id]


@pytest.mark.parametrize(("kind", "name"), [("gunicorn", "wsgi"), ("uvicorn", "asgi")], ids=["wsgi", "asgi"])
def test_refused(store: Store, tmp_path: Path, kind: str, name: str):
    """A form without the header, or of somebody who may start nothing, is refused; so is one that is none."""
    with serving(tmp_path, store, kind, name) as server:
        body, headers = form(b"1,2")
        status, _, reply = server.ask("POST", "/runs", body, Content_Type=headers["Content_Type"])
        assert (status, "expected the header X-Runcast: 1" in json.loads(reply)["detail"]) == (403, True)
        for wrong in (b"", b"--x", body[:-10], body.replace(b"p.data", b"q.data")):
            status, _, reply = server.ask("POST", "/runs", wrong, **headers)
            assert (status, json.loads(reply)["error"]) == (400, "UsageError"), wrong
        json_body = b'{"name": "sum", "params": {"data": "/etc/passwd"}}'
        status, _, reply = server.ask("POST", "/runs", json_body, Content_Type="application/json")
        assert (status, "as a file" in json.loads(reply)["detail"]) == (400, True)
    with serving(tmp_path, store, kind, name, allowed=False) as server:
        assert server.ask("POST", "/runs", body, **headers)[0] == 403
    assert list(store.list()) == []


def test_rights(tmp_path: Path):
    """Who may start one command may send that one a file, and no other; `authorize` sees which."""
    config = """
        [commands.mine]
        command = ["cat", "{data}"]
        params.data.type = "file"
        [commands.theirs]
        command = ["cat", "{data}"]
        params.data.type = "file"
    """
    (tmp_path / "server.toml").write_text(textwrap.dedent(config))
    where = ("--store", tmp_path / "store")
    token = cli(*where, "token", "add", "ci", "--may", "start:mine").out.decode().split()[-1]
    with serve("--config", tmp_path / "server.toml", *where) as server:
        for name, expected in (("mine", 201), ("theirs", 403)):
            body, headers = form(b"1,2,3", name="a.csv")
            body = body.replace(b"\r\nsum\r\n", f"\r\n{name}\r\n".encode())
            answer = httpx.post(
                f"http://127.0.0.1:{server.port}/runs",
                content=body,
                headers={
                    "Content-Type": headers["Content_Type"],
                    "X-Runcast": "1",
                    "Authorization": f"Bearer {token}",
                },
            )
            assert answer.status_code == expected, answer.text
    assert [run.name for run in Store.open(str(tmp_path / "store")).list()] == ["mine"]


@pytest.mark.parametrize(("kind", "name"), [("gunicorn", "wsgi"), ("uvicorn", "asgi")], ids=["wsgi", "asgi"])
def test_cut(store: Store, tmp_path: Path, kind: str, name: str):
    """A form that was cut starts nothing and leaves nothing."""
    body, headers = form()
    head = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
    store.start(["true"]).wait(timeout=LONG)
    with serving(tmp_path, store, kind, name) as server:
        before = set(os.listdir(store.path))
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            start = f"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}\r\n"
            connection.sendall(start.encode() + body[: len(body) // 2])
        assert server.ask("GET", "/runs", Accept="application/json")[0] == 200
        assert set(os.listdir(store.path)) == before
    assert len(list(store.list())) == 1


def test_again(store: Store, tmp_path: Path):
    """Started again a run has the same file, also when the first is gone; without it that is refused."""
    with serving(tmp_path, store, "uvicorn", "asgi") as server, Client(server.root) as client:
        body, headers = form(b"1,2,3")
        first = client.get(json.loads(server.ask("POST", "/runs", body, **headers)[2])["id"])
        first.wait(timeout=LONG)
        status, _, reply = server.ask("POST", f"/runs/{first.id}/rerun", b"{}", X_Runcast="1")
        assert status == 201, reply
        second = store.get(json.loads(reply)["id"])
        assert second.output(timeout=LONG) == store.get(first.id).output()
        assert second.command != first.command
        third = store.rerun(second)
        store.remove(second)
        assert third.output(timeout=LONG) == store.get(first.id).output()

        os.unlink(third.command[-2])
        status, _, reply = server.ask("POST", f"/runs/{third.id}/rerun", b"{}", X_Runcast="1")
        gone = "'data.csv' (data) is not there any more"
        assert (status, gone in json.loads(reply)["detail"]) == (409, True)
        with pytest.raises(UploadGone, match="start it with a file"):
            store.rerun(third)


def test_clients(store: Store, tmp_path: Path):
    """Clients send paths, open files and bytes; the command line sends `P=@PATH`."""
    path = tmp_path / "given.bin"
    path.write_bytes(DATA)
    with serving(tmp_path, store, "uvicorn", "asgi") as server:
        with Client(server.root) as client, path.open("rb") as file:
            for given in (path, file):
                run = client.start(name="sum", params={"data": given, "n": 7})
                assert run.output(timeout=LONG).split() == [SUM, "data.bin", "7"]
            with pytest.raises(UsageError, match="ends with"):
                client.start(name="sum", params={"data": b"no name"})
            with pytest.raises(UsageError, match="as a file that can be read"):
                client.start(name="sum", params={"data": tmp_path / "none"})

        async def awaiting() -> str:
            async with AsyncClient(server.root) as waiting:
                awaited = await waiting.start(name="sum", params={"data": path})
                return await awaited.output(timeout=LONG)

        assert asyncio.run(awaiting()).split() == [SUM, "data.bin", "3"]
        done = cli("run", "--server", server.root, "sum", "-p", f"data=@{path}", "-p", "n=9")
        assert (done.code, done.out.split()) == (0, [SUM.encode(), b"data.bin", b"9"])
        done = cli("run", "--server", server.root, "sum", "-p", f"data={path}")
        assert (done.code, "expected -p data=@PATH" in done.err) == (2, True)
