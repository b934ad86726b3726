"""A server, as its clients know it: address, token, and what its errors mean.

Owns the reading of addresses and of problem+json. A token is never part of a message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from runcast import errors
from runcast.client.actions import Response
from runcast.errors import (
    AccessRefused,
    MirrorBehind,
    NotRuncast,
    OffsetBeyondTail,
    OffsetGone,
    RuncastError,
    RunElsewhere,
    RunNotFound,
    RunPinned,
    SegmentAway,
    ServerUnreachable,
    UsageError,
)

if TYPE_CHECKING:
    from runcast.client.ssh import Destination

__all__ = ["OF_A_RUN", "SERVER_VARIABLE", "TOKEN_VARIABLE", "Server"]

SERVER_VARIABLE, TOKEN_VARIABLE = "RUNCAST_SERVER", "RUNCAST_TOKEN"
OF_A_RUN: Final = (
    "id",
    "name",
    "state",
    "outcome",
    "created_at",
    "tail_offset",
    "closed",
)  # in every run's JSON
_PROBLEM = "application/problem+json"
_BY_STATUS: dict[int, type[RuncastError]] = {400: UsageError, 401: AccessRefused, 403: AccessRefused}
_BY_STATUS |= {404: UsageError, 413: UsageError, 421: AccessRefused, 429: AccessRefused}
_OF_ONE_TEXT: tuple[str, ...] = (
    "ArtifactAway",
    "ArtifactNotFound",
    "BadOffset",
    "CommandRefused",
    "LogClosed",
    "RunActive",
    "RunExists",
    "RunFinished",
    "UploadGone",
)
_OF_ONE_TEXT += ("HostUnreachable", "StoreUnusable", "SupervisorLost", "UsageError", "WaitTimeout")


class Server:
    """Where a server is, and the token for it.

    Attributes:
        base: its address without a slash at the end, to which paths are added.
        socket_path: of the Unix socket that it listens on; None where that is TCP.
        ssh: where ssh starts a bridge in place of a server; None where there is one.
        token: sent with each request; None where there is none.
    """

    def __init__(self, url: str | None, token: str | None) -> None:
        """Read an address as `runcast serve` prints it, or as a browser shows it.

        Args:
            url: the address, with the token in `?token=`, if at all; `$RUNCAST_SERVER` if None. That of
                a Unix socket is `unix:///PATH`, and of a machine that ssh reaches `ssh://[USER@]HOST[:PORT]/`.
            token: goes before all others; else that of the address, else `$RUNCAST_TOKEN`.

        Raises:
            UsageError: it is no address, or there is none.
        """
        self.ssh: Destination | None = None
        self.socket_path: str | None = None
        text = url if url is not None else os.environ.get(SERVER_VARIABLE, "")
        if not text:
            raise UsageError(
                f"expected the address of a server, such as http://127.0.0.1:8765/, got none: "
                f"give it, or set {SERVER_VARIABLE}"
            )
        shown = text.partition("?")[0]
        try:
            parts = urlsplit(text.strip())
            local = parts.scheme == "unix"
            by_ssh = parts.scheme == "ssh" and parts.path.rstrip("/") in ("", "/runs")
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
            wrong = wrong and not by_ssh
            wrong = wrong if not local else bool(parts.netloc) or parts.path in ("", "/")
        except ValueError:
            wrong = True
        if wrong:
            raise UsageError(
                f"expected the address of a server, such as http://127.0.0.1:8765/, got {shown!r}"
            )
        if by_ssh:
            from runcast.client.ssh import BY_SSH, Destination

            self.base, self.token, self.ssh = BY_SSH, None, Destination.parse(parts)
            return
        if "@" in parts.netloc:
            raise UsageError("expected the address of a server without a user: give the token instead")
        path = parts.path.rstrip("/").removesuffix("/runs")
        if local:
            self.socket_path = unquote(parts.path)
        self.base = "http://localhost" if local else f"{parts.scheme}://{parts.netloc}{path}"
        self.token = (
            token or dict(parse_qsl(parts.query)).get("token") or os.environ.get(TOKEN_VARIABLE) or None
        )

    def __str__(self) -> str:
        if self.ssh is not None:
            return str(self.ssh)
        return f"{self.base}/" if self.socket_path is None else f"unix://{quote(self.socket_path)}"

    def page(self, run_id: str) -> str:
        """Return the address of a run's page; empty where a browser cannot open it."""
        there = self.ssh is None and self.socket_path is None
        return f"{self.base}/runs/{run_id}" if there else ""

    def error(self, reply: Response, run_id: str | None = None) -> RuncastError:
        """Return the error that an unexpected reply stands for.

        Args:
            reply: the reply.
            run_id: the run of the request, if it names one.
        """
        if reply.kind != _PROBLEM:
            what = f"{reply.status} {reply.reason}".strip()
            if reply.status == 500:
                return RuncastError(f"the server {self} could not do this ({what}): see its own log")
            if reply.status > 500 or reply.status in (408, 425, 429):  # or of its proxy
                return ServerUnreachable(f"cannot reach the server {self}: {what} is answered for it")
            return self._other(f"{what} ({reply.kind or 'no content'})")
        try:
            problem: dict[str, Any] = json.loads(reply.body)
            name, detail = str(problem["error"]), str(problem["detail"])
            if name == "RunNotFound":
                return RunNotFound(run_id or "", f"the server {self}")
            if name == "RunPinned":
                return RunPinned(run_id or "")
            if name == "RunElsewhere":
                unshared = problem.get("unshared") is True
                return RunElsewhere(run_id or "", str(problem["host"]), unshared=unshared)
            if name == "SegmentAway":
                return SegmentAway(run_id or "", int(problem["offset"]), int(problem["next"]))
            if name == "MirrorBehind":
                return MirrorBehind(run_id or "", int(problem["offset"]), int(problem["tail"]))
            if name == "OffsetGone":
                return OffsetGone(int(problem["offset"]), int(problem["next"]))
            if name == "OffsetBeyondTail":
                return OffsetBeyondTail(int(problem["offset"]), int(problem["tail"]))
        except (ValueError, KeyError, TypeError):
            return NotRuncast(f"expected a problem+json of the server {self}, got {reply.body[:80]!r}")
        if name in ("NoToken", "WrongToken"):
            got = "got none" if name == "NoToken" else "got another"
            return AccessRefused(
                f"expected the token of the server {self}, {got}: set {TOKEN_VARIABLE}, "
                "or use the whole address that `runcast serve` prints, http://…/?token=…"
            )
        kind = getattr(errors, name) if name in _OF_ONE_TEXT else _BY_STATUS.get(reply.status, RuncastError)
        error: RuncastError = kind(
            f"the server {self}: {detail}" if kind in (AccessRefused, RuncastError) else detail
        )
        return error

    def value(
        self, reply: object, run_id: str | None = None, *expected: int, having: Collection[str] = ()
    ) -> Any:
        """Return the JSON of a reply that is as expected; None where it has no body.

        Args:
            reply: the reply.
            run_id: the run of the request, if it names one.
            expected: statuses; by default those of success.
            having: names that the JSON must have.

        Raises:
            RuncastError: it is an error, or no reply of a runcast server.
        """
        assert isinstance(reply, Response), "the result of a call"
        if reply.status not in (expected or (200, 201, 202)):
            raise self.error(reply, run_id)
        if reply.status == 204:
            return None
        try:
            value = json.loads(reply.body) if reply.kind == "application/json" else None
        except ValueError:
            value = None
        if not isinstance(value, dict) or not value.keys() >= set(having):
            raise self._other(f"something else ({reply.kind or 'no content'})")
        return value

    def runs(self, reply: object) -> tuple[list[dict[str, Any]], str | None]:
        """Return the runs that a reply lists, and where the list goes on, if it does.

        Raises:
            RuncastError: it is an error, or no reply of a runcast server.
        """
        value = self.value(reply, having=("runs",))
        listed, following = value["runs"], value.get("next")
        if not isinstance(listed, list) or not all(
            isinstance(facts, dict) and facts.keys() >= set(OF_A_RUN) for facts in listed
        ):
            raise self._other("something else than runs")
        return listed, following if isinstance(following, str) else None

    def _other(self, got: str) -> NotRuncast:
        return NotRuncast(f"expected a runcast server at {self}, got {got}: check the address")
