"""What each tool does: requests of the HTTP API, and a result of bounded size.

Owns the results: a line of JSON, and behind it output, once. Followers wait as long as a call says, and tell
meanwhile what came. Must not know the protocol's library, nor whether the server is within this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from runcast.client.actions import Call, Query, Routine
from runcast.client.following import Event, Following, to_chunk
from runcast.client.form import Form
from runcast.client.server import OF_A_RUN
from runcast.client.transport_aio import AsyncTransport
from runcast.errors import AccessRefused, RunFinished, UsageError
from runcast.escapes.strip import Stripper
from runcast.ids import is_run_id
from runcast.model import Channel
from runcast.server.mcp.tools import Tool, checked, tools
from runcast.sysio.uploads import upload_of

__all__ = ["Calls", "Tell"]

Tell = Callable[[int, str], Awaitable[None]]
"""Called with an offset and the output before it, while a call waits."""

_PATIENCE = 60.0  # seconds without a byte of the server
_TELL_SECONDS = 0.1  # between two messages …
_MESSAGE_CHARACTERS = 4000  # … and how much of what came each has: the result has all of it
_ENDING_SECONDS = 2.0  # that `stop` waits beyond the grace
_OF_STATE = ("id", "state", "closed", "queue", "place", "waiting", "hint")
_OF_LIST = ("id", "name", "state", "created_at", "queue")
_MULTIBYTE = 4  # bytes of a character in UTF-8 at most


class Calls:
    """The tools of one client of one server.

    Args:
        transport: to the server.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport, self._server = transport, transport.server

    async def tools(self) -> list[Tool]:
        """Return the tools that there are for this client; who may not see the commands starts none.

        Raises:
            ServerUnreachable: the server does not answer.
        """
        offered: dict[str, Any] = {"commands": [], "any": False}
        with contextlib.suppress(AccessRefused):
            offered = await self._json(Call("GET", "/commands"), having=("commands", "any"))
        return tools(offered)

    async def call(self, name: str, arguments: Mapping[str, Any], tell: Tell) -> list[str]:
        """Do what a tool does; return its result: a line of JSON, and output if there is any.

        Raises:
            RuncastError: there is no such tool, an argument does not fit, or the server refuses.
        """
        known = {tool.name: tool for tool in await self.tools()}
        if (tool := known.get(name)) is None:
            raise UsageError(f"expected a tool ({', '.join(known)}), got {name!r:.80}")
        given = checked(tool.schema, arguments)
        if "id" in given and not is_run_id(given["id"]):
            raise UsageError(
                f"expected the id of a run, as start and list return it, got {given['id']!r:.80}"
            )
        if tool.command is not None or name == "start":
            return await self._start(tool, given, tell)
        match name:
            case "follow":
                return await self._follow(given, tell)
            case "wait_for":
                return await self._wait_for(given, tell)
            case "search":
                return await self._search(given)
            case "list":
                return await self._list(given)
            case "get":
                return [_line(await self._run(given["id"]))]
            case "stop":
                return await self._stop(given)
            case _:
                return await self._send(given)

    # Requests

    async def _reply(self, call: Call) -> Any:
        def steps() -> Routine[Any]:
            return (yield call)

        return await self._transport.perform(steps())

    async def _json(self, call: Call, run_id: str | None = None, having: tuple[str, ...] = ()) -> Any:
        return self._server.value(await self._reply(call), run_id, 200, 201, 202, 204, having=having)

    async def _run(self, run_id: str) -> dict[str, Any]:
        facts = await self._json(Call("GET", f"/runs/{run_id}"), run_id, OF_A_RUN)
        return {
            name: value for name, value in facts.items() if name != "links" and value not in (None, [], {})
        }

    # Tools

    async def _start(self, tool: Tool, given: dict[str, Any], tell: Tell) -> list[str]:
        if tool.command is None:
            body: dict[str, Any] = {
                key: given[key] for key in ("command", "cwd", "title", "timeout") if key in given
            }
            body |= {"stdin": "pipe"} if given.get("stdin") else {}
            call = Call("POST", "/runs", body=json.dumps(body).encode(), json=True)
        else:
            call = _named(tool, given.get("params", {}))
        facts = await self._json(call, having=OF_A_RUN)
        follow = {"id": facts["id"], "offset": 0, "wait": given["wait"], "max_bytes": given["max_bytes"]}
        return await self._follow(follow, tell)

    async def _follow(self, given: dict[str, Any], tell: Tell) -> list[str]:
        reading = _Reading(given["max_bytes"], tell)
        query = (("channel", given["channel"]),) if "channel" in given else ()
        await self._read(given, query, reading.take)
        run = await self._run(given["id"])
        facts, tail = _short(run, _OF_STATE), int(run["tail_offset"])
        behind = reading.next if reading.next is not None else tail if "tail" in given else given["offset"]
        more = reading.full or ("channel" not in given and behind < tail)
        facts |= {"next": behind, "more": more, "closed": facts["closed"] and not more}
        return [_line(facts), *([text] if (text := reading.text()) else [])]

    async def _wait_for(self, given: dict[str, Any], tell: Tell) -> list[str]:
        found: Event = {"found": False}
        reading = _Reading(0, tell)

        async def take(event: Event) -> bool:
            if event.get("event") == "until":
                found.update(event)
                return True
            await reading.take(event)
            return False

        query: Query = (("until", given["text"]),)
        await self._read(given, query + ((("regex", "1"),) if given["regex"] else ()), take)
        found.pop("event", None)
        found |= {name: int(found[name]) for name in ("offset", "next") if name in found}
        return [_line(await self._facts(given["id"]) | found)]

    async def _read(
        self, given: dict[str, Any], query: Query, take: Callable[[Event], Awaitable[bool]]
    ) -> None:
        """Give the events of a log to `take` until that returns true, the log ends, or the time is over."""
        following: Following[Event] = Following(
            self._server,
            given["id"],
            lambda event: (event,),
            query=query,
            place=(("tail", str(given["tail"])) if "tail" in given else ("offset", str(given["offset"])),),
            follow=given["wait"] > 0,
            patience=_PATIENCE,
        )
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(given["wait"] or None),
                aclosing(self._transport.drive(following.steps())) as events,  # type: ignore[type-var]
            ):
                async for event in events:
                    if await take(event):
                        return

    async def _search(self, given: dict[str, Any]) -> list[str]:
        query: Query = (("q", given["text"]), ("max", str(given["max_lines"])))
        query += (("regex", "1"),) if given["regex"] else ()
        query += (("case", "0"),) if given["ignore_case"] else ()
        run_id = given.get("id")
        call = Call("GET", f"/runs/{run_id or '-'}/search", query, headers={"Accept": "application/x-ndjson"})
        reply = await self._reply(call)
        if reply.status != 200:
            raise self._server.error(reply, run_id)
        hits = [json.loads(line) for line in reply.body.splitlines()]
        done = hits.pop() if hits and hits[-1].get("done") else {"done": False}
        lines = [
            f"{hit.get('run', '')} {hit['line']}@{int(hit['offset'])}: {hit['text']}".lstrip()
            for hit in hits
            if "line" in hit
        ]
        return [_line(done), *(["\n".join(lines)] if lines else [])]

    async def _list(self, given: dict[str, Any]) -> list[str]:
        query: Query = (("limit", str(given["limit"])),)
        query += (("before", given["before"]),) if "before" in given else ()
        runs, _ = self._server.runs(await self._reply(Call("GET", "/runs", query)))
        return [
            _line({"runs": len(runs)}),
            *(["\n".join(_line(_listed(run)) for run in runs)] if runs else []),
        ]

    async def _stop(self, given: dict[str, Any]) -> list[str]:
        run_id, grace = given["id"], given["grace"]
        body = json.dumps({"grace": grace} | ({"signal": 9} if grace == 0 else {})).encode()
        with contextlib.suppress(RunFinished):  # it is as it should be
            await self._json(Call("POST", f"/runs/{run_id}/stop", body=body, json=True), run_id)
            end = {"id": run_id, "tail": 0, "wait": min(grace, 30) + _ENDING_SECONDS}

            async def take(event: Event) -> bool:
                return event.get("event") == "exit"

            await self._read(end, (("channel", Channel.DATA.value),), take)
        return [_line(await self._facts(run_id))]

    async def _send(self, given: dict[str, Any]) -> list[str]:
        data, run_id = given["text"].encode(), given["id"]
        query: Query = (("eof", "1"),) if given["eof"] else ()
        await self._json(Call("POST", f"/runs/{run_id}/stdin", query, data), run_id)
        return [_line({"id": run_id, "sent": len(data)})]

    async def _facts(self, run_id: str) -> dict[str, Any]:
        return _short(await self._run(run_id), _OF_STATE)


class _Reading:
    """Output as it comes, up to a bound of bytes; 0 keeps none."""

    def __init__(self, most: int, tell: Tell) -> None:
        self._left, self._keeps, self._tell = most, most > 0, tell
        self._parts: list[str] = []
        self._strippers: dict[Channel, Stripper] = {}
        self._pending = ""
        self._sent_at = 0.0
        self.next: int | None = None
        self.full = False

    def text(self) -> str:
        """Return what came, without escape sequences."""
        return "".join(self._parts)

    async def take(self, event: Event) -> bool:
        """Take an event; return whether there is room for no more."""
        if "event" in event:
            if event["event"] == "exit" or (self.next is None and event["event"] == "run"):
                self.next = int(event["offset"])
            return False
        chunk = to_chunk(event)
        if chunk.channel is Channel.GAP:
            self.next = chunk.next
            await self._add(f"[{chunk.next - chunk.offset} bytes are not kept any more]\n")
            return False
        data = chunk.data
        if self._keeps and len(data) > self._left:
            data = _cut(data, self._left)
            self.full = True
        self._left -= len(data)
        self.next = chunk.next if len(data) == len(chunk.data) else chunk.offset + len(data)
        stripper = self._strippers.setdefault(chunk.channel, Stripper())
        await self._add(stripper.feed(data).decode("utf-8", "replace"))
        return self.full

    async def _add(self, text: str) -> None:
        if self._keeps:
            self._parts.append(text)
        self._pending += text
        now = time.monotonic()
        if self._pending and now - self._sent_at >= _TELL_SECONDS:
            pending, self._pending, self._sent_at = self._pending, "", now
            await self._tell(self.next or 0, pending[-_MESSAGE_CHARACTERS:])


def _cut(data: bytes, most: int) -> bytes:
    """Return the beginning of data, without a part of a character at its end."""
    for back in range(min(_MULTIBYTE, most)):
        if data[most - back] & 0xC0 != 0x80:  # where a character begins
            return data[: most - back]
    return data[:most]


def _named(tool: Tool, params: Mapping[str, Any]) -> Call:
    """Return the start of a named command; a text for a file among its parameters is sent as one."""
    declared = tool.schema["properties"].get("params", {"properties": {}})
    values = checked(declared, params, "params.")
    files = {name for name, of in declared["properties"].items() if "contentMediaType" in of}
    if not files & values.keys():
        body = {"name": tool.command} | ({"params": values} if values else {})
        return Call("POST", "/runs", body=json.dumps(body).encode(), json=True)
    fields: dict[str, Any] = {"name": str(tool.command)}
    for name, value in values.items():
        if name in files:
            fields[f"p.{name}"] = upload_of(name, value.encode())
        else:
            fields[f"p.{name}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return Call("POST", "/runs", form=Form(fields), timeout=None)


def _listed(run: Mapping[str, Any]) -> dict[str, Any]:
    return _short(run, _OF_LIST) | {"bytes": int(run["tail_offset"])}


def _short(run: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    outcome = run.get("outcome")
    found = {name: run[name] for name in names if run.get(name) is not None}
    return found | ({"outcome": outcome["text"], "ok": outcome["ok"]} if outcome else {})


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
