"""The addresses `/hooks/NAME`: a signed delivery starts the command of that name.

Owns the order: the body, whole and bounded; the signature; the events that start nothing; the start, whose
key is the delivery's id, so that a second attempt finds the run of the first. The guard lets requests to
these addresses through without a token, so nothing is done here before the signature is right.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runcast.acting import acting
from runcast.errors import RuncastError, UsageError
from runcast.own_thread import in_pool
from runcast.run import Run
from runcast.runs import Store
from runcast.server.inbound import Delivery, Inbound, NotSigned
from runcast.server.replies import problem
from runcast.web.api.commands import DELIVERY_VARIABLES, NamedCommand, find_command
from runcast.web.api.log_reply import problem_reply
from runcast.web.http.bodies import BodyTooLarge, parse_length
from runcast.web.http.messages import Reply, json_reply
from runcast.who import Kind, Who

__all__ = ["HOOKS", "HookRoute", "addresses"]

HOOKS = "/hooks/"
_LONG_BYTES = 64 * 1024  # of a body; that many are signed in a tenth of a millisecond

log = logging.getLogger("runcast.server")


class _Hook(NamedTuple):
    command: NamedCommand
    inbound: Inbound


def addresses(hooks: Mapping[str, Inbound]) -> frozenset[str]:
    """Return the paths of hooks, as they are on the wire: no other spelling of one is one."""
    return frozenset(f"{HOOKS}{name}" for name in hooks)


class HookRoute:
    """Answers requests to the hooks of a server.

    Args:
        store: where the runs are.
        commands: of the server.
        hooks: of those of them that have one, by the command's name.
        failed: counts a wrong signature at a time of `time.monotonic`; returns the seconds to wait where
            there were too many.
        started: called for each run that was started, or found.
    """

    def __init__(
        self,
        store: Store,
        commands: Mapping[str, NamedCommand],
        hooks: Mapping[str, Inbound],
        failed: Callable[[float], int],
        started: Callable[[], object],
    ) -> None:
        self._store, self._failed, self._started = store, failed, started
        self._hooks = {name: _Hook(find_command(commands, name), inbound) for name, inbound in hooks.items()}

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            reply = await self._reply(request)
        except ClientDisconnect:  # what did not arrive whole never happened
            return Response(status_code=408)
        except (RuncastError, OSError) as error:
            reply = problem_reply(error)
        return Response(reply.body, reply.status, dict(reply.headers))

    async def _reply(self, request: Request) -> Reply:
        name = request.path_params["name"]
        hook = self._hooks.get(name)
        if hook is None:
            return problem(
                404, "NoHook", f"no command {name[:100]!r} with a hook; the server's file has them"
            )
        body = await _whole(request, hook.inbound.most)
        headers = {key.lower(): value for key, value in request.headers.items()}
        try:
            # A long body takes a while to sign, and its sender is a stranger until then.
            long = len(body) > _LONG_BYTES
            check = hook.inbound.check
            delivery = await in_pool(check, headers, body) if long else check(headers, body)
        except NotSigned as error:
            return self._refused(error, name, request)
        if hook.inbound.is_ping(delivery.event):
            return json_reply({"ok": True})
        if not hook.inbound.is_wanted(delivery.event):
            return Reply(204)
        who = Who(Kind.HOOK, name)
        with acting(who, request.client.host if request.client else ""):
            run = await in_pool(self._start, hook, delivery, body)
        self._started()
        address = f"{request.scope.get('root_path', '')}/runs/{run.id}"
        return json_reply({"id": run.id, "run": address}, 202, [("Location", address)])

    def _refused(self, error: NotSigned, name: str, request: Request) -> Reply:
        headers = [("WWW-Authenticate", 'Signature realm="runcast"')] if error.http_status == 401 else []
        if error.wrong:
            if wait := self._failed(time.monotonic()):
                detail = f"expected no more than a wrong signature now and then: wait {wait} s"
                return problem(429, "TooManyAttempts", detail, [("Retry-After", str(wait))])
            client = request.client.host if request.client else ""
            log.warning("a wrong signature for the hook %s from %r", name, client)
        return problem(error.http_status, "NotSigned", str(error), headers)

    def _start(self, hook: _Hook, delivery: Delivery, body: bytes) -> Run:
        return hook.command.deliver(
            self._store,
            body,
            place=hook.inbound.payload,
            key=f"hook {hook.command.name} {delivery.id}" if delivery.id else None,
            env=dict(zip(DELIVERY_VARIABLES, (delivery.event, delivery.id), strict=True)),
        )


async def _whole(request: Request, most: int) -> bytes:
    """Return the body.

    Raises:
        BodyTooLarge, UsageError: it has more bytes than it may; its length is no number.
        ClientDisconnect: it was cut.
    """
    parse_length(request.headers.get("content-length"), most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise BodyTooLarge(most)
        parts.append(part)
    length = request.headers.get("content-length")
    if length and size < int(length):
        raise UsageError(f"expected a body of {length} bytes, got {size}")
    return b"".join(parts)
