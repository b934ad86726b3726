"""Applications that peers serve: what people write today, and ours in the same shape.

Each runs the command in `BENCH_COMMAND` for a GET and streams what it prints. Loaded by the
servers, by name; every name is one way of doing it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

COMMAND: list[str] = json.loads(os.environ.get("BENCH_COMMAND", '["echo", "hi"]'))


def flask_article() -> Any:
    """Return the usual Flask route: a generator over the lines of a subprocess."""
    from flask import Flask, Response

    app = Flask(__name__)

    @app.get("/")
    def stream() -> Response:
        def lines() -> Iterator[bytes]:
            with subprocess.Popen(COMMAND, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                yield from process.stdout

        return Response(lines(), mimetype="text/plain")

    return app


def starlette_usual() -> Any:
    """Return the usual Starlette route: `async for line in process.stdout`."""
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def stream(request: object) -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            process = await asyncio.create_subprocess_exec(*COMMAND, stdout=subprocess.PIPE)
            assert process.stdout is not None
            async for line in process.stdout:
                yield line
            await process.wait()

        return StreamingResponse(lines(), media_type="text/plain")

    return Starlette(routes=[Route("/", stream)])


def runcast_asgi() -> Any:
    """Return ours: the mounted API, and a view at `/` that starts the command on GET."""
    from runcast import Store
    from runcast.web.adapters.streaming_view import stream_reply
    from runcast.web.asgi import RunsASGI, send_reply, to_request

    api = RunsASGI(Store.open())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            request = to_request(scope, b"")
            options = {"cap": None}
            store = api.responder.store
            reply = stream_reply(store, COMMAND, request, view="bench", runs=None, options=options)
            await send_reply(reply, api.feeds, scope, receive, send)
        else:
            await api(scope, receive, send)

    return app


def flask_runs() -> Any:
    """Return a Flask application with ours mounted in it."""
    from flask import Flask

    from runcast.web.flask import Runcast

    app = Flask(__name__)
    Runcast(app)
    return app
