"""Measuring the way to a server: the same run, read in every form at once, by the address that users have.

Owns the order, and what it costs: a run that is silent and then writes lines, a second one for the viewer
who leaves, a stream; all are removed again. What came is for `proxied.py` to judge. The standard library's
client alone is used: no client that decodes, follows and retries by itself could say what came when.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
import secrets
import select
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from ssl import SSLCertVerificationError
from typing import Any, Final
from urllib.parse import urlsplit

from runcast.client.server import Server
from runcast.doctor.caller import Caller, Reply
from runcast.doctor.proxied_facts import Passage, Reading
from runcast.doctor.refused import refusal
from runcast.doctor.ticking import COUNT, NAME
from runcast.known_proxies import Proxy, of_own_reply, of_reply

__all__ = ["measure"]

_SPARE_SECONDS = 15.0  # for all that may be slow beside the silence
_SILENT_VIEWER = 20  # seconds of the run that a viewer leaves
_LOOK_SECONDS, _LOOKED_SECONDS = 0.1, 5.0
_EARLY_SECONDS = 1.5
_POLL_SECONDS = 20
_DURABLE_SECONDS = 59.0
_AT_ONCE = 16  # requests: six forms, and what is measured beside them
_LINE = re.compile(rb"tick (\d+) (\d+\.\d{6});")
_VIEWERS = re.compile(r'^runcast_viewers\{format="asciicast"\} (\S+)', re.MULTILINE)
_JSON: Final = {"Accept": "application/json"}
_FORMS: Final = {
    "text": ("/runs/{id}/log", "text/plain"),
    "events": ("/runs/{id}/log", "text/event-stream"),
    "ndjson": ("/runs/{id}/log", "application/x-ndjson"),
    "durable": ("/v1/stream/runs/{id}?offset=-1&live=sse", "*/*"),
}
_FAILURES = (OSError, HTTPException, zlib.error, ValueError)


def measure(url: str, silent: int) -> Passage:
    """Return what is known of the way to a server.

    Args:
        url: of the server as its users have it, with the token.
        silent: seconds in which the run says nothing.

    Raises:
        UsageError: it is no URL.
    """
    server = Server(url, None)
    caller = Caller(server.base, server.token, silent + _SPARE_SECONDS)
    try:
        first = caller.ask("GET", "/runs?limit=1", _JSON)
    except _FAILURES as error:
        why = str(getattr(error, "strerror", None) or error)  # without its number
        wrong = isinstance(error, SSLCertVerificationError)
        advice = "name the issuer of its certificate in SSL_CERT_FILE" if wrong else "is it running?"
        return Passage(url=str(server), fault=f"{server} cannot be reached: {why}", advice=advice)
    proxy, shown = _proxy(caller, first)
    host = urlsplit(server.base).hostname or ""
    fault, advice = refusal(first, host=host, sent_token=server.token is not None, proxy=proxy)
    facts: dict[str, Any] = {"url": str(server), "proxy": proxy, "shown": shown}
    if fault:
        return Passage(**facts, fault=fault, advice=advice)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read, start_fault = _begin(caller, pool, silent)
        if start_fault:
            facts["is_adapter"] = caller.ask("GET", "/healthz").status == 404  # which each `serve` has
        beside: dict[str, Future[Any]] = {
            "host_fault": pool.submit(_host_fault, caller),
            "said_prefix": pool.submit(_said_prefix, caller),
            "secure": pool.submit(_secure, caller),
            "push_fault": pool.submit(_push_fault, caller),
            "upload_early": pool.submit(_upload_early, caller),
            "left": pool.submit(_left, caller),
        }
        facts |= {name: _or_none(one.result) for name, one in beside.items()}
        facts["host_fault"] = facts["host_fault"] or ""
        readings = tuple(read())
    return Passage(
        **facts,
        prefix=urlsplit(server.base).path,
        start_fault=start_fault,
        silent=silent,
        count=COUNT,
        readings=readings,
    )


def _proxy(caller: Caller, first: Reply) -> tuple[Proxy | None, str]:
    """Return the proxy that stands before a server, and what it is known by."""
    proxy = of_reply(first.header)
    if proxy is None:
        with contextlib.suppress(*_FAILURES):
            proxy = of_own_reply(caller.garbled())
        return proxy, "by how it refuses what is no request"
    said = ", ".join(filter(None, (first.header(name) for name in ("server", "via"))))[:80]
    return proxy, said or "X-Varnish"


def _or_none(result: Callable[[], Any]) -> Any:
    with contextlib.suppress(*_FAILURES):
        return result()
    return None


def _start(caller: Caller, silent: int) -> tuple[str, str]:
    """Start the run; return its id, and why there is none."""
    reply = caller.ask("POST", "/runs", json={"name": NAME, "params": {"silent": silent}})
    if reply.status == 201:
        return str(reply.json["id"]), ""
    return "", str(reply.problem.get("detail", f"the answer to its start is {reply.status}"))


def _begin(
    caller: Caller, pool: ThreadPoolExecutor, silent: int
) -> tuple[Callable[[], Iterator[Reading]], str]:
    """Begin to read a run in all forms; return what waits for the readings, and why there are none."""
    run_id, fault = _start(caller, silent)
    if not run_id:
        return lambda: iter(()), fault
    forms = [
        *(
            pool.submit(_read, caller, name, path.format(id=run_id), kind)
            for name, (path, kind) in _FORMS.items()
        ),
        pool.submit(_poll, caller, run_id),
        pool.submit(_websocket, caller, run_id),
    ]

    def read() -> Iterator[Reading]:
        for one in forms:
            yield one.result()
        _remove(caller, run_id)

    return read, ""


def _remove(caller: Caller, run_id: str) -> None:
    with contextlib.suppress(*_FAILURES):
        caller.ask("POST", f"/runs/{run_id}/stop", json={"grace": 0})
    deadline = time.monotonic() + _LOOKED_SECONDS
    with contextlib.suppress(*_FAILURES):
        while caller.ask("DELETE", f"/runs/{run_id}").status == 409 and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


class _Lines:
    """The numbered lines among bytes that come in pieces: when each was written, and when it came."""

    def __init__(self, decode: Callable[[bytes], bytes] = bytes) -> None:
        self.found: dict[int, tuple[float, float]] = {}
        self._rest, self._decode = b"", decode

    @property
    def all_there(self) -> bool:
        return len(self.found) == COUNT

    def add(self, data: bytes) -> None:
        now = time.time()
        text = self._rest + self._decode(data)
        end = 0
        for match in _LINE.finditer(text):
            self.found.setdefault(int(match[1]), (float(match[2]), now))
            end = match.end()
        self._rest = text[end:]


def _unpacked(encoding: str) -> Callable[[bytes], bytes]:
    return zlib.decompressobj(47).decompress if encoding else bytes  # gzip or zlib, as the head says


def _of_base64() -> Callable[[bytes], bytes]:
    """Return what decodes the data of events line by line, as they come."""
    rest = b""

    def decode(data: bytes) -> bytes:
        nonlocal rest
        *whole, rest = (rest + data).split(b"\n")
        decoded = b""
        for line in whole:
            if line.startswith(b"data:"):
                with contextlib.suppress(ValueError):
                    decoded += base64.b64decode(line[5:].strip(), validate=True)
        return decoded

    return decode


def _read(caller: Caller, form: str, path: str, kind: str) -> Reading:
    reading = _read_once(caller, form, path, kind)
    if form == "durable" and not reading.lines and not reading.fault and reading.ended > _DURABLE_SECONDS:
        return _read_once(
            caller, form, path, kind
        )  # such a reply ends after a minute, and its reader comes again
    return reading


def _read_once(caller: Caller, form: str, path: str, kind: str) -> Reading:
    began = time.monotonic()
    reading: dict[str, Any] = {"form": form}
    lines = _Lines()
    try:
        with caller.opened("GET", path, {"Accept": kind, "Accept-Encoding": "gzip"}) as response:
            encoding = response.getheader("Content-Encoding") or ""
            unpack, decode = _unpacked(encoding), _of_base64() if form == "durable" else bytes
            reading |= {"head": time.monotonic() - began, "status": response.status, "encoding": encoding}
            reading["chunked"] = bool(response.chunked)
            if response.status != 200:
                return Reading(**reading, fault=f"the answer is {response.status}")
            while not lines.all_there and (data := response.read1(65536)):
                lines.add(decode(unpack(data)))
    except _FAILURES as error:
        if "status" not in reading:
            reading |= {"status": 0, "fault": f"no answer: {error}"}
    return Reading(**reading, lines=lines.found, ended=time.monotonic() - began)


def _poll(caller: Caller, run_id: str) -> Reading:
    began, lines, offset, encoding = time.monotonic(), _Lines(), "-1", ""
    try:
        while not lines.all_there:
            path = f"/runs/{run_id}/log?offset={offset}&wait={_POLL_SECONDS}"
            reply = caller.ask("GET", path, _JSON | {"Accept-Encoding": "gzip"})
            encoding = reply.header("content-encoding") or ""
            if reply.status != 200:
                return Reading(form="polls", status=reply.status, fault=f"the answer is {reply.status}")
            value = json.loads(_unpacked(encoding)(reply.body))
            lines.add("".join(chunk.get("text", "") for chunk in value["chunks"]).encode())
            offset = value["next"]
            if value["closed"] and not value["chunks"]:
                break
    except (*_FAILURES, KeyError) as error:
        if not lines.found:
            return Reading(form="polls", status=0, fault=f"no answer: {error}")
    return Reading(form="polls", lines=lines.found, encoding="", ended=time.monotonic() - began)


def _websocket(caller: Caller, run_id: str) -> Reading:
    began, lines = time.monotonic(), _Lines()
    status = 0
    try:
        with caller.websocket(f"/runs/{run_id}/log") as (status, messages):
            if status != 101:
                return Reading(form="websocket", status=status, fault=f"the answer is {status}, and not 101")
            head = time.monotonic() - began
            for message in messages:
                lines.add(message)
                if lines.all_there:
                    break
    except _FAILURES as error:
        if status != 101:
            return Reading(form="websocket", status=0, fault=f"no answer: {error}")
    return Reading(form="websocket", head=head, lines=lines.found, ended=time.monotonic() - began)


def _host_fault(caller: Caller) -> str:
    """Return why a page of the server's own would be refused; empty where it would not."""
    parts = urlsplit(caller.base)
    reply = caller.ask("GET", "/runs?limit=1", _JSON | {"Origin": f"{parts.scheme}://{parts.netloc}"})
    return str(reply.problem["detail"]) if reply.problem.get("error") == "ForeignPage" else ""


def _said_prefix(caller: Caller) -> str | None:
    where = caller.ask("GET", "/").header("location")
    path = urlsplit(where or "").path
    return path.removesuffix("/runs") if path.endswith("/runs") else None


def _secure(caller: Caller) -> bool | None:
    if urlsplit(caller.base).scheme != "https" or caller.token is None:
        return None
    reply = caller.ask("GET", f"/?token={caller.token}", {"Accept": "text/html"})
    cookie = reply.header("set-cookie")
    return None if cookie is None else "; Secure" in cookie


def _push_fault(caller: Caller) -> str | None:
    path = f"/v1/stream/runcast-doctor-{secrets.token_hex(4)}"
    kind = {"Content-Type": "text/plain"}
    if caller.ask("PUT", path, kind).status != 201:
        return None
    try:
        sent = caller.ask("POST", path, headers=kind, pieces=[b"one\n", b"two\n"])
        if sent.status not in (200, 204):
            return f"what was sent in chunks is answered by {sent.status}"
        came = caller.ask("GET", f"{path}?offset=-1").body
        return "" if came == b"one\ntwo\n" else f"of 8 bytes that were sent in chunks {len(came)} arrived"
    finally:
        caller.ask("DELETE", path)


def _upload_early(caller: Caller) -> bool:
    """Return whether the server refuses an upload while it goes on: then its head has come there."""
    with caller.begun(
        "POST", "/runs", {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}
    ) as sock:
        sock.sendall(b"1\r\nx\r\n")
        return bool(select.select([sock], [], [], _EARLY_SECONDS)[0])


def _viewers(caller: Caller) -> float:
    reply = caller.ask("GET", "/metrics", {"Accept": "text/plain"})
    found = _VIEWERS.search(reply.body.decode(errors="replace")) if reply.status == 200 else None
    if found is None:
        raise ValueError("there are no metrics")
    return float(found[1])


def _left(caller: Caller) -> float | None:
    """Return after how long a viewer who left a silent run is noticed; infinity for not while we looked."""
    before = _viewers(caller)
    run_id, _ = _start(caller, _SILENT_VIEWER)
    if not run_id:
        return None
    try:
        with caller.begun("GET", f"/runs/{run_id}/log?format=asciicast", {}):
            if _seconds_until(lambda: _viewers(caller) > before) == math.inf:
                return None
        return _seconds_until(lambda: _viewers(caller) <= before)
    finally:
        _remove(caller, run_id)


def _seconds_until(condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    while (passed := time.monotonic() - began) < _LOOKED_SECONDS:
        if condition():
            return passed
        time.sleep(_LOOK_SECONDS)
    return math.inf
