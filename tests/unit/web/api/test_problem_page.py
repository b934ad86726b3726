"""What a browser shows where a program gets a problem."""

import json

import pytest

from runcast import Store
from runcast.web.http.messages import Request
from runcast.web.responder import Responder, by_id_alone

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "sec-fetch-mode": "navigate"}
MISSING = "01m8jdxxxxxxxxxxxxxxxxxxxx"


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        (f"/runs/{MISSING}", 404, "There is no such run"),
        (f"/runs/{MISSING}/log", 404, "There is no such run"),
        ("/nonsense", 404, "There is nothing at this address"),
    ],
)
def test_page(store: Store, path: str, status: int, title: str):
    """A browser that opens an address where there is nothing gets a page with a way back."""
    responder = Responder(store)
    shown = responder.respond(Request("GET", path, "/root", headers=BROWSER))
    program = responder.respond(Request("GET", path, "/root"))

    assert shown.status == program.status == json.loads(program.body)["status"] == status
    assert f"<h1>{title}</h1>" in shown.body.decode()
    assert 'href="/root/runs"' in shown.body.decode()
    assert MISSING not in shown.body.decode()


def test_not_allowed(store: Store):
    """Who may not see the list is not sent there."""
    shown = Responder(store, authorize=by_id_alone).respond(Request("GET", "/runs", headers=BROWSER))

    assert shown.status == 403
    assert "<h1>You may not do this here</h1>" in shown.body.decode()
    assert "href" not in shown.body.decode()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", BROWSER),
        ("GET", BROWSER | {"sec-fetch-mode": "cors"}),
        ("GET", {"accept": "application/json"}),
    ],
)
def test_programs(store: Store, method: str, headers: dict[str, str]):
    """What no person opens is answered by a problem, also in a browser."""
    reply = Responder(store).respond(Request(method, f"/runs/{MISSING}/stop", headers=headers, body=b"{}"))

    assert dict(reply.headers)["Content-Type"] == "application/problem+json"
