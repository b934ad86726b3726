"""A server, as its clients know it: address, token, and what its refusals mean.

Owns the reading of addresses and of problem+json. A token is never part of a message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from runcast import errors
from runcast.client.acts import Answer
from runcast.errors import (
    AccessRefused,
    NotRuncast,
    OffsetBeyondTail,
    OffsetGone,
    RuncastError,
    RunElsewhere,
    RunNotFound,
    ServerUnreachable,
    UsageError,
)

__all__ = ["OF_A_RUN", "SERVER_VARIABLE", "TOKEN_VARIABLE", "Server"]

SERVER_VARIABLE, TOKEN_VARIABLE = "RUNCAST_SERVER", "RUNCAST_TOKEN"
OF_A_RUN: Final = ("id", "name", "state", "outcome", "created_at", "tail_offset", "closed")  # always told
_PROBLEM = "application/problem+json"
_BY_STATUS: dict[int, type[RuncastError]] = {400: UsageError, 401: AccessRefused, 403: AccessRefused}
_BY_STATUS |= {404: UsageError, 413: UsageError, 421: AccessRefused, 429: AccessRefused}
_OF_ONE_TEXT: tuple[str, ...] = (
    "BadOffset",
    "CommandRefused",
    "LogClosed",
    "RunActive",
    "RunExists",
    "RunFinished",
)
_OF_ONE_TEXT += ("StoreUnusable", "SupervisorLost", "UsageError", "WaitTimeout")


class Server:
    """Where a server is, and what to show it.

    Attributes:
        base: its address without a slash at the end, to which paths are added.
        token: what whoever asks must know; None where nothing is known.
    """

    def __init__(self, url: str | None, token: str | None) -> None:
        """Read an address as `runcast serve` prints it, or as a browser shows it.

        Args:
            url: the address; what `?token=` in it says is the token. `$RUNCAST_SERVER` if None.
            token: goes before all others; else that of the address, else `$RUNCAST_TOKEN`.

        Raises:
            UsageError: it is no address, or there is none.
        """
        text = url if url is not None else os.environ.get(SERVER_VARIABLE, "")
        if not text:
            raise UsageError(
                f"expected the address of a server, such as http://127.0.0.1:8765/, got none: "
                f"give it, or set {SERVER_VARIABLE}"
            )
        shown = text.partition("?")[0]
        try:
            parts = urlsplit(text.strip())
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
        except ValueError:
            wrong = True
        if wrong:
            raise UsageError(
                f"expected the address of a server, such as http://127.0.0.1:8765/, got {shown!r}"
            )
        if "@" in parts.netloc:
            raise UsageError("expected the address of a server without a user: give the token instead")
        path = parts.path.rstrip("/").removesuffix("/runs")
        self.base = f"{parts.scheme}://{parts.netloc}{path}"
        self.token = (
            token or dict(parse_qsl(parts.query)).get("token") or os.environ.get(TOKEN_VARIABLE) or None
        )

    def __str__(self) -> str:
        return f"{self.base}/"

    def error(self, answer: Answer, run_id: str | None = None) -> RuncastError:
        """Return the error that a reply tells.

        Args:
            answer: a reply that is not what was asked for.
            run_id: the run that was asked for, if it was one.
        """
        if answer.kind != _PROBLEM:
            what = f"{answer.status} {answer.reason}".strip()
            if answer.status == 500:
                return RuncastError(f"the server {self} could not do this ({what}): its own log says why")
            if answer.status > 500 or answer.status in (408, 425, 429):  # whatever stands before it
                return ServerUnreachable(f"cannot reach the server {self}: {what} is answered for it")
            return self._other(f"{what} ({answer.kind or 'no content'})")
        try:
            told: dict[str, Any] = json.loads(answer.body)
            name, detail = str(told["error"]), str(told["detail"])
            if name == "RunNotFound":
                return RunNotFound(run_id or "", f"the server {self}")
            if name == "RunElsewhere":
                return RunElsewhere(run_id or "", str(told["host"]))
            if name == "OffsetGone":
                return OffsetGone(int(told["offset"]), int(told["next"]))
            if name == "OffsetBeyondTail":
                return OffsetBeyondTail(int(told["offset"]), int(told["tail"]))
        except (ValueError, KeyError, TypeError):
            return NotRuncast(f"expected a problem that the server {self} can tell, got {answer.body[:80]!r}")
        if name in ("NoToken", "WrongToken"):
            got = "got none" if name == "NoToken" else "got another"
            return AccessRefused(
                f"expected the token of the server {self}, {got}: set {TOKEN_VARIABLE}, "
                "or use the whole address that `runcast serve` prints, http://…/?token=…"
            )
        kind = getattr(errors, name) if name in _OF_ONE_TEXT else _BY_STATUS.get(answer.status, RuncastError)
        error: RuncastError = kind(
            f"the server {self}: {detail}" if kind in (AccessRefused, RuncastError) else detail
        )
        return error

    def value(
        self, answer: object, run_id: str | None = None, *expected: int, having: Collection[str] = ()
    ) -> Any:
        """Return the JSON of a reply that is as expected; None where it has no body.

        Args:
            answer: the reply.
            run_id: the run that was asked for, if it was one.
            expected: statuses; by default those of success.
            having: names that the JSON must have.

        Raises:
            RuncastError: it is an error, or nothing that a runcast server says.
        """
        assert isinstance(answer, Answer), "what a call gives"
        if answer.status not in (expected or (200, 201, 202)):
            raise self.error(answer, run_id)
        if answer.status == 204:
            return None
        try:
            value = json.loads(answer.body) if answer.kind == "application/json" else None
        except ValueError:
            value = None
        if not isinstance(value, dict) or not value.keys() >= set(having):
            raise self._other(f"something else ({answer.kind or 'no content'})")
        return value

    def runs(self, answer: object) -> list[dict[str, Any]]:
        """Return the runs that a reply lists.

        Raises:
            RuncastError: it is an error, or nothing that a runcast server says.
        """
        listed = self.value(answer, having=("runs",))["runs"]
        if not isinstance(listed, list) or not all(
            isinstance(told, dict) and told.keys() >= set(OF_A_RUN) for told in listed
        ):
            raise self._other("something else than runs")
        return listed

    def _other(self, got: str) -> NotRuncast:
        return NotRuncast(f"expected a runcast server at {self}, got {got}: check the address")
