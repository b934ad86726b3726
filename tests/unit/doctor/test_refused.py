"""What `runcast doctor --url` says of a first answer that is none of use."""

import json

import pytest

from runcast.doctor.caller import Reply
from runcast.doctor.refused import refusal
from runcast.known_proxies import HAPROXY, NGINX, Proxy, of_own_reply


def problem(status: int, detail: str) -> Reply:
    """Return a refusal of the server's own."""
    return Reply(
        status, {"content-type": "application/problem+json"}, json.dumps({"detail": detail}).encode()
    )


NAMED = (
    "expected this server's name as the Host, got {!r}: `runcast serve --allow-host NAME` allows another name"
)
NO_TOKEN = "expected this server's token, got none: send it"


@pytest.mark.parametrize(
    ("reply", "sent_token", "proxy", "fault", "advice"),
    [
        (Reply(200, {}, b"{}"), True, None, "", ""),
        (
            problem(421, NAMED.format("a.example")),
            True,
            NGINX,
            "does not know the name a.example",
            "host a.example",
        ),
        (problem(421, NAMED.format("a.example:80")), True, None, "does not know", "--allow-host a.example"),
        (problem(421, NAMED.format("up")), True, NGINX, "another Host on, 'up'", "proxy_set_header Host"),
        (
            problem(421, NAMED.format("up")),
            True,
            None,
            "the proxy passes another Host",
            "nginx, if it is that",
        ),
        (problem(421, NAMED.format("up")), True, HAPROXY, "HAProxy passes another", "as it was sent"),
        (problem(401, NO_TOKEN), False, NGINX, "got none", "?token="),
        (problem(401, NO_TOKEN), True, NGINX, "nginx takes the header Authorization off", "remove the line"),
        (problem(401, "expected this server's token, got another"), True, NGINX, "got another", "?token="),
        (
            Reply(401, {"www-authenticate": "Basic"}, b""),
            True,
            None,
            "login of its own (Basic)",
            "has a token",
        ),
        (
            Reply(503, {}, b"no server"),
            True,
            HAPROXY,
            "HAProxy does not reach the server",
            "is `runcast serve`",
        ),
        (problem(503, "too many"), True, NGINX, "the answer is 503", "does the proxy"),
        (Reply(302, {"location": "/login"}, b""), True, None, "answers 302 and leads to /login", "path"),
        (Reply(404, {}, b"nothing"), True, None, "answers 404, and not as", "path"),
    ],
)
def test_refusal(reply: Reply, sent_token: bool, proxy: Proxy | None, fault: str, advice: str):
    """Each says whose fault it is, as far as that shows, and what to do."""
    said, cure = refusal(reply, host="a.example", sent_token=sent_token, proxy=proxy)
    assert fault in said
    assert advice in cure
    assert bool(said) is bool(fault)


def test_known_by_its_own_words():
    """HAProxy is known by its page for what is no request; those of others and of the server are not its."""
    page = b"<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n"
    assert of_own_reply(b"HTTP/1.1 400 Bad request\r\n\r\n" + page) is HAPROXY
    assert of_own_reply(b"HTTP/1.1 400 Bad Request\r\n\r\n<center>nginx/1.22.1</center>") is None
    assert of_own_reply(b"") is None
