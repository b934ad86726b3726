"""Tools for agents, with the official client, over both transports, in both generations of the protocol."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from runcast import Run, Store
from tests.helpers.cli import RUNCAST, cli
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until
from tests.integration.server.test_serve import Server, serving

pytestmark = [pytest.mark.slow, pytest.mark.fault]

LONG = 20000 * MS
FILE = """
[commands.show]
title = "Show it"
command = ["echo", "to", "{target}"]
[commands.show.params.target]
type = "choice"
choices = ["staging", "production"]
[commands."to.log-in"]
command = ["sh", "-c", "echo as $1; cat $2", "sh", "{password}", "{list}"]
[commands."to.log-in".params.password]
type = "secret"
[commands."to.log-in".params.list]
type = "file"
"""
Call = Callable[..., Awaitable[tuple[dict[str, Any], str]]]
"""Calls a tool; returns the line of its result, and the output."""


def by(client: Client) -> Call:
    async def call(tool: str, progress: Any = None, **arguments: Any) -> tuple[dict[str, Any], str]:
        result = await client.call_tool(tool, arguments, progress_callback=progress)
        texts = [one.text for one in result.content]  # type: ignore[union-attr]
        assert not result.is_error, texts
        assert result.structured_content is None
        assert len(texts) <= 2
        return json.loads(texts[0]), "".join(texts[1:])

    return call


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """Return the sentence with which a call is refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (text,) = result.content
    return text.text  # type: ignore[union-attr]


@contextlib.asynccontextmanager
async def over_stdio(folder: Path, store: Store, mode: str = "auto") -> AsyncIterator[Client]:
    """Give a client of `runcast mcp`, whose process writes its id to a file."""
    script = f'echo $$ >{folder}/pid; exec {sys.executable} -m runcast mcp "$@"'
    env = {"RUNCAST_STORE": store.path, "PATH": os.environ["PATH"]}
    arguments = ["-c", script, "sh", "--config", str(folder / "server.toml"), "--allow-any-command"]
    parameters = StdioServerParameters(command="sh", args=arguments, env=env)
    async with Client(stdio_client(parameters), mode=mode) as client:
        yield client


@contextlib.asynccontextmanager
async def over_http(server: Server, token: str, mode: str = "auto") -> AsyncIterator[Client]:
    """Give a client of `runcast serve --mcp`."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        url = f"http://127.0.0.1:{server.port}/mcp"
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            yield client


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    """Give a folder with a configuration."""
    (tmp_path / "server.toml").write_text(FILE)
    return tmp_path


async def use(client: Client, version: str) -> None:
    """Use each tool as an agent does."""
    assert client.protocol_version == version
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    target = tools["start_show"].input_schema["properties"]["params"]["properties"]["target"]
    assert target["enum"] == ["staging", "production"]
    only_read = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
    assert only_read == {"follow", "wait_for", "search", "list", "get"}
    call = by(client)
    assert (await call("start_show", params={"target": "staging"}))[1] == "to staging\n"

    script = "echo to staging; read line; echo got $line; echo bad >&2; exit 3"
    begun, output = await call("start", command=["sh", "-c", script], stdin=True, wait=0)
    run = begun["id"]
    found, _ = await call("wait_for", id=run, text="^to (st|pr)", regex=True)
    assert (found["found"], found["text"], found["offset"]) == (True, "to staging", 0)
    seen: list[tuple[float, str]] = []

    async def progress(done: float, _: float | None, message: str | None) -> None:
        seen.append((done, message or ""))

    following = asyncio.create_task(call("follow", progress, id=run, offset=found["next"]))
    assert (await call("send", id=run, text="a line\n", eof=True))[0]["sent"] == 7
    ended, output = await following
    assert sorted(output.splitlines()) == ["bad", "got a line"]
    assert (ended["closed"], ended["ok"], ended["more"], ended["next"]) == (True, False, False, 26)
    assert "exit code 3" in ended["outcome"]
    assert seen, "what came was told meanwhile"
    assert (await call("follow", id=run, wait=0, channel="stderr"))[1] == "bad\n"
    assert (await call("follow", id=run, wait=0, tail=2))[0]["next"] == 26
    assert (await call("search", id=run, text="GOT", ignore_case=True))[1] == "2@11: got a line"
    assert (await call("search", text="got a line"))[1] == f"{run} 2@11: got a line"

    other, output = await call("start_to_log-in", params={"password": "hush-hush", "list": "one\ntwo\n"})
    assert output == "as ***\none\ntwo\n"
    listed, lines = await call("list", limit=1)
    assert (listed["runs"], json.loads(lines)["id"]) == (1, other["id"])
    assert "hush" not in json.dumps(await call("get", id=other["id"]))

    going, _ = await call("start", command=["sleep", "600"], wait=0)
    ended, _ = await call("stop", id=going["id"], grace=2)
    assert (ended["closed"], ended["ok"]) == (True, False)

    refused = await refusal(client, "start_show", params={"target": "moon"})
    assert refused == "expected params.target as one of staging, production, got 'moon'"
    assert await refusal(client, "follow", id="../x") == (
        "expected the id of a run, as start and list return it, got '../x'"
    )
    assert "expected an offset up to the tail" in await refusal(client, "follow", id=run, offset=9999)
    assert "expected wait as a number from 0 to" in await refusal(client, "follow", id=run, wait=1e9)
    assert "expected a tool (" in await refusal(client, "begin")


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_tools(store: Store, folder: Path, mode: str, version: str):
    """Everything that an agent does with runs, over stdio and over HTTP."""

    async def main() -> None:
        async with over_stdio(folder, store, mode) as client:
            await use(client, version)
        with temporary_store(folder / "served") as served:
            options = (
                "--mcp",
                "--allow-any-command",
                "--config",
                folder / "server.toml",
                "--store",
                served.path,
            )
            with serving(*options) as server:
                async with over_http(server, server.token, mode) as client:
                    await use(client, version)

    asyncio.run(main())


def reached(run: Run, offset: int) -> bool:
    return run.tail_offset >= offset


def test_killed_and_resumed(store: Store, folder: Path):
    """A run outlives its agent's server, killed while it follows; the next one reads on to the byte."""
    run = store.start([sys.executable, "-u", "-c", ECHO], stdin="pipe")
    sizes: list[int] = []

    async def read_and_kill(at: int, until: int) -> tuple[str, int]:
        """Read up to an offset in pieces that cut characters; kill the server while it follows the rest."""
        read = ""
        with contextlib.suppress(BaseExceptionGroup):  # the client's: its connection is gone
            async with over_stdio(folder, store) as client:
                call = by(client)
                while at < until - SIZE:
                    part, output = await call("follow", id=run.id, offset=at, max_bytes=999, wait=0)
                    sizes.append(part["next"] - at)
                    read, at = read + output, part["next"]
                came = asyncio.Event()

                async def progress(*_: object) -> None:
                    came.set()

                following = asyncio.create_task(call("follow", progress, id=run.id, offset=at))
                await came.wait()
                os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
                await following
        return read, at

    async def main() -> str:
        read, at = "", 0
        for count in (1, 2):
            run.send("x\n" * 20)
            wait_until(partial(reached, run, count * 20 * SIZE), timeout=LONG, what="output")
            more, at = await read_and_kill(at, run.tail_offset)
            read += more
        assert run.outcome is None, "it goes on"
        run.send("", eof=True)
        async with over_stdio(folder, store) as client:
            last, output = await by(client)("follow", id=run.id, offset=at, max_bytes=200_000)
            assert (last["closed"], last["more"]) == (True, False)
            first, _ = await by(client)("follow", id=run.id, max_bytes=100, wait=0)
            assert (first["closed"], first["more"]) == (False, True), "there is more to read"
        return read + output

    assert asyncio.run(main()) == run.output()
    assert 0 < min(sizes) <= max(sizes) <= 999
    assert len(sizes) > 10


ECHO = "import sys\nfor n, line in enumerate(sys.stdin): print('é' * 200, f'{n:03}', line, end='')"
SIZE = 200 * 2 + len(" 000 0\n")


def test_rights(store: Store, folder: Path):
    """Who may only read starts and stops nothing, and is told so; without a token there is nothing."""
    run = store.start(["sleep", "600"])
    with serving("--mcp", "--allow-any-command") as server:
        made = cli("token", "add", "reader", "--may", "read", "--expires", "1d")
        token = re.search(r"\S{30,}", made.out.decode())
        assert token is not None

        async def main() -> None:
            async with over_http(server, token[0]) as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                assert "follow" in names
                assert not any(name.startswith("start") for name in names)
                assert (await by(client)("follow", id=run.id, wait=0))[0]["closed"] is False
                assert "may" in await refusal(client, "stop", id=run.id)
            async with over_http(server, server.token) as client:
                call = by(client)
                assert (await call("start", command=["echo", "it"]))[1] == "it\n"
                assert (await call("stop", id=run.id, grace=0))[0]["closed"]

        asyncio.run(main())
        reply = httpx2.post(f"http://127.0.0.1:{server.port}/mcp", json={})
        assert (reply.status_code, reply.json()["error"]) == (401, "NoToken")


def test_expression_that_runs_away(store: Store, folder: Path):
    """A regular expression without an end is given up; the server answers others meanwhile."""
    run = store.start(["sh", "-c", f"echo {'a' * 40}b; exec sleep 600"])

    async def main() -> None:
        async with over_stdio(folder, store) as client:
            call = by(client)
            lost = asyncio.create_task(call("wait_for", id=run.id, text="(a+)+$", regex=True))
            assert (await call("start", command=["echo", "meanwhile"]))[1] == "meanwhile\n"
            found, _ = await lost
            assert (found["found"], found["stopped"]) == (False, "time")

    asyncio.run(main())


def test_not_offered(store: Store, folder: Path):
    """Without --mcp there is no such address; of a server the agent gets what that has."""
    with serving("--config", folder / "server.toml") as server:
        bearer = {"Authorization": f"Bearer {server.token}"}
        assert httpx2.post(f"http://127.0.0.1:{server.port}/mcp", json={}, headers=bearer).status_code == 404
        refused = cli("mcp", "--server", server.url, "--allow-any-command")
        assert (refused.code, "which has its own" in refused.err) == (2, True)

        async def main() -> None:
            command = StdioServerParameters(command=RUNCAST, args=["mcp", "--server", server.url])
            async with Client(stdio_client(command)) as client:
                assert (await by(client)("start_show", params={"target": "staging"}))[1] == "to staging\n"
                assert "expected a tool (start_show, " in await refusal(client, "start", command=["id"])
            wrong = {"RUNCAST_TOKEN": "another-token-than-the-right-one"}
            address = server.url.partition("?")[0]
            command = StdioServerParameters(command=RUNCAST, args=["mcp", "--server", address], env=wrong)
            async with Client(stdio_client(command)) as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                assert not any(name.startswith("start") for name in names)
                assert "expected the token of the server" in await refusal(client, "list")

        asyncio.run(main())


def test_no_server(store: Store):
    """What is wrong with the way to a server is said in a sentence, in each answer."""

    async def main() -> None:
        command = StdioServerParameters(command=RUNCAST, args=["mcp", "--server", "http://127.0.0.1:1/"])
        async with Client(stdio_client(command)) as client:
            with pytest.raises(MCPError, match=r"cannot reach the server .*: nothing listens there"):
                await client.list_tools()
            assert "nothing listens there" in await refusal(client, "list")

    asyncio.run(main())
