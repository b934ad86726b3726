"""The guard around an application: what passes, what every reply gets, what is logged."""

import asyncio
import json
import logging
from typing import Any

import pytest

from runcast.server.guard import Guard
from runcast.server.guard_middleware import SECURITY_HEADERS, Guarded
from runcast.server.metrics import Metrics, Sources
from runcast.web.http.share import SHARED, ShareKey

TOKEN = "correct-horse-battery-staple"
BEARER = (b"authorization", f"Bearer {TOKEN}".encode())
HOST = (b"host", b"127.0.0.1:8765")


class Inner:
    """The application behind the guard: remembers who came through, answers with `headers`."""

    def __init__(self, *headers: tuple[bytes, bytes], error: Exception | None = None) -> None:
        self.seen: list[str] = []
        self.headers = list(headers)
        self.error = error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["path"])
        if self.error is not None:
            raise self.error
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})


def make(inner: Inner, **options: Any) -> Guarded:
    return Guarded(inner, Guard(["127.0.0.1"], TOKEN), Metrics(Sources()), **options)


def ask(app: Guarded, *headers: tuple[bytes, bytes], kind: str = "http", **more: Any) -> list[dict[str, Any]]:
    """Have the application answer one connection; return what it sent."""
    scope = {
        "type": kind,
        "scheme": "ws" if kind == "websocket" else "http",
        "path": "/runs",
        "query_string": b"",
        "headers": [HOST, *headers],
        "client": ("192.0.2.7", 4711),
        **({"method": "GET"} if kind == "http" else {}),
        **more,
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(app(scope, receive, send))
    return sent


def test_passes():
    """A request that may pass reaches the application, and its reply comes back as it was sent."""
    inner = Inner((b"content-type", b"text/plain"))

    start, *bodies = ask(make(inner), BEARER)

    assert inner.seen == ["/runs"]
    assert (start["status"], start["headers"][0]) == (200, (b"content-type", b"text/plain"))
    assert [body["body"] for body in bodies] == [b"o", b"k"]


def test_refused():
    """A request that may not pass never reaches the application."""
    inner = Inner()

    start, body = ask(make(inner))

    assert inner.seen == []
    assert (start["type"], start["status"]) == ("http.response.start", 401)
    assert json.loads(body["body"])["status"] == 401
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])


def test_refused_head():
    """A refused HEAD has no body, and says how long it would be."""
    start, body = ask(make(Inner()), method="HEAD")

    assert (start["status"], body["body"]) == (401, b"")
    assert int(dict(start["headers"])[b"content-length"]) > 0


def test_websocket_refused_by_a_reply():
    """A refused handshake gets the whole reply, where the server can send one."""
    inner = Inner()

    start, body = ask(make(inner), kind="websocket", extensions={"websocket.http.response": {}})

    assert inner.seen == []
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert body["type"] == "websocket.http.response.body"


def test_websocket_refused_by_a_close():
    """Elsewhere it is closed before it is accepted."""
    inner = Inner()

    assert ask(make(inner), kind="websocket") == [{"type": "websocket.close", "code": 1008}]
    assert inner.seen == []


def test_websocket_passes():
    """A handshake with the token reaches the application."""
    assert ask(make(Inner()), BEARER, kind="websocket") == [{"type": "websocket.accept"}]


def test_open_path():
    """An open path is for everybody and every Host, but only to be read, and only it."""
    inner = Inner()
    app = make(inner, open_paths=["/healthz"])

    statuses = [
        ask(app, path=path, method=method)[0]["status"]
        for path, method in (
            ("/healthz", "GET"),
            ("/healthz", "HEAD"),
            ("/healthz", "POST"),
            ("/healthz/", "GET"),
            ("/healthz/../runs", "GET"),
            ("//healthz", "GET"),
            ("/HEALTHZ", "GET"),
        )
    ]

    assert statuses == [200, 200, 401, 401, 401, 401, 401]
    assert ask(app, path="/healthz", headers=[(b"host", b"10.0.0.1")])[0]["status"] == 200
    assert ask(app, kind="websocket", path="/healthz") == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("headers", [(), (BEARER,)], ids=["refused", "passed"])
def test_security_headers(headers: tuple[tuple[bytes, bytes], ...]):
    """Every reply has the headers that keep a page from being misused."""
    start, *_ = ask(make(Inner()), *headers)

    sent = {name.decode(): value.decode() for name, value in start["headers"]}
    assert dict(SECURITY_HEADERS).items() <= sent.items()
    assert "default-src 'none'" in sent["content-security-policy"]
    assert "unsafe" not in sent["content-security-policy"]
    assert len(sent) == len(start["headers"])


def test_own_headers_stay():
    """A header that the application sets is not sent twice."""
    start, *_ = ask(make(Inner((b"Referrer-Policy", b"same-origin"))), BEARER)

    policies = [value for name, value in start["headers"] if name.lower() == b"referrer-policy"]
    assert policies == [b"same-origin"]


def test_failure_is_a_problem():
    """An error of the application becomes a problem without its text, and is logged by the server."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [HOST, BEARER]}
    with pytest.raises(ValueError, match="secret"):
        asyncio.run(make(Inner(error=ValueError("secret")))(scope, None, send))  # type: ignore[arg-type]

    assert sent[0]["status"] == 500
    assert b"secret" not in sent[1]["body"]


def test_lifespan_passes():
    """What is no connection is the application's."""
    inner = Inner(error=NotImplementedError())

    with pytest.raises(NotImplementedError):
        asyncio.run(make(inner)({"type": "lifespan", "path": ""}, None, None))  # type: ignore[arg-type]


def test_access_log_is_optional(caplog: pytest.LogCaptureFixture):
    """Requests are logged only with the option for it."""
    with caplog.at_level(logging.INFO, "runcast.access"):
        ask(make(Inner()), BEARER)
        assert caplog.messages == []
        ask(make(Inner(), log_requests=True), BEARER)

    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("'192.0.2.7' GET '/runs' 200 ")


def test_access_log_is_harmless(caplog: pytest.LogCaptureFixture):
    """What a client chose cannot forge a line of the log, speak to a terminal, or put a token there."""
    hostile = "/runs\r\n\x1b]0;owned\x07\u009b31m\u202e"
    query = f"token={TOKEN}&x=\r\n\x1b[2J".encode()
    with caplog.at_level(logging.INFO):
        for client in (("192.0.2.7", 1), ("\x1b[31m", 1), None):
            ask(
                make(Inner(), log_requests=True),
                raw_path=hostile.encode(),
                query_string=query,
                client=client,
                method="G\x1b[1mT",
            )

    assert len(caplog.messages) >= 3
    assert all(message.isprintable() and TOKEN not in message for message in caplog.messages)


@pytest.mark.parametrize("spelled", [TOKEN, TOKEN.replace("c", "%63"), TOKEN.replace("-", "%2D")])
def test_token_elsewhere_in_a_url(spelled: str, caplog: pytest.LogCaptureFixture):
    """The token is hidden in the access log in a path and in another parameter, too."""
    app = make(Inner(), log_requests=True)
    with caplog.at_level(logging.INFO, "runcast.access"):
        ask(app, BEARER, raw_path=f"/runs/{spelled}/log".encode(), query_string=f"a={spelled}&b=1".encode())

    assert "GET '/runs/***/log?a=***&b=1' 200 " in caplog.messages[0]


def test_wrong_tokens_are_logged(caplog: pytest.LogCaptureFixture):
    """A wrong token is logged with who sent it and without itself, and a flood of them a few times only."""
    app = make(Inner())

    for number in range(100):
        ask(app, (b"authorization", b"Bearer guess-%d" % number))

    output = [record.getMessage() for record in caplog.records if record.name == "runcast.server"]
    assert 0 < len(output) <= 12
    assert all("192.0.2.7" in message for message in output)
    assert "guess" not in caplog.text


def test_share_link(caplog: pytest.LogCaptureFixture):
    """Who comes by a share link is marked for the application, and the log has no token of it."""
    marked: list[bool] = []

    class Marks(Inner):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            marked.append(SHARED in scope)
            await super().__call__(scope, receive, send)

    app, share = make(Marks(), log_requests=True), ShareKey(TOKEN).token("01jd", 1_800_000_000)
    page = {"path": "/runs/01jd", "query_string": f"line=1&share={share}".encode()}
    with caplog.at_level(logging.INFO, "runcast.access"):
        start, *_ = ask(app, (b"accept", b"text/html"), **page)
        ask(app, BEARER)

    assert marked == [True, False]
    assert [name for name, _ in start["headers"]].count(b"set-cookie") == 1
    assert "line=1&share=***" in caplog.text
    assert share not in caplog.text
