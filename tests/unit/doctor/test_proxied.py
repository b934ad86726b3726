"""The checks of the way to a server, each by facts alone: what is well, what is a hint, what is wrong."""

import math
from dataclasses import replace
from typing import Any

import pytest

from runcast.doctor.facts import Finding
from runcast.doctor.proxied import passage_findings
from runcast.doctor.proxied_facts import Passage, Reading
from runcast.known_proxies import PROXIES

COUNT = 4
BY_NAME = {one.name: one for one in PROXIES}


def reading(form: str = "text", *late: float, **changes: Any) -> Reading:
    """Return lines, one written each second, from 1000 s by the server's clock and 5000 s by ours."""
    lines = {n: (1000.0 + n, 5000.0 + n + (late[n] if n < len(late) else 0.0)) for n in range(COUNT)}
    return Reading(**{"form": form, "head": 0.1, "lines": lines, "chunked": True} | changes)


GOOD = Passage(
    url="http://a/",
    said_prefix="",
    silent=3.0,
    count=COUNT,
    readings=(reading("text"), reading("websocket")),
    push_fault="",
    upload_early=True,
    left=0.1,
)
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("server", {}, "ok", "no proxy shows itself"),
    ("server", {"proxy": BY_NAME["Varnish"], "shown": "1.1 varnish"}, "ok", "behind Varnish (1.1 varnish)"),
    ("host", {"host_fault": "expected a request"}, "problem", "nginx, if it is that: proxy_set_header Host"),
    ("host", {"host_fault": "x", "proxy": BY_NAME["Apache"]}, "problem", "Apache: ProxyPreserveHost On"),
    ("prefix", {"prefix": "/cast"}, "problem", "--root-path /cast"),
    ("prefix", {"prefix": "/cast", "said_prefix": "/cast"}, "ok", "below /cast"),
    ("prefix", {"said_prefix": None}, "hint", "may not list"),
    ("cookie", {"secure": False}, "hint", "X-Forwarded-Proto: https"),
    ("cookie", {"secure": True}, "ok", "TLS only"),
    ("forms", {"start_fault": "expected somebody", "readings": ()}, "hint", "the server's own token"),
    ("forms", {"is_adapter": True, "start_fault": "x", "readings": ()}, "hint", "put a `runcast serve`"),
    ("push", {"push_fault": "of 8 bytes 4 arrived"}, "problem", "4 arrived"),
    ("push", {"push_fault": None}, "hint", "not known"),
    ("upload", {"upload_early": False}, "ok", "proxy_request_buffering off"),
    ("viewer", {"left": math.inf, "proxy": BY_NAME["HAProxy"]}, "hint", "option abortonclose"),
    ("viewer", {"left": math.inf, "proxy": BY_NAME["Varnish"]}, "hint", "when a keep-alive is sent"),
    ("viewer", {"left": None}, "hint", "no metrics"),
]
FORMS: list[tuple[Reading, dict[str, Any], str, str]] = [
    (reading(), {}, "ok", "the slowest 0.00 s late, chunked"),
    (reading("text", 0.0, 0.5), {}, "ok", "0.50 s late"),
    (reading("text", 0.0, 1.5), {}, "hint", "1.50 s late"),
    (reading("text", 4.0, 3.0, 2.0, 1.0), {}, "problem", "all lines came at the end"),
    (
        reading("text", 4.0, 3.0, 2.0, 1.0, encoding="gzip"),
        {"proxy": BY_NAME["Caddy"]},
        "problem",
        "as gzip: Caddy: encode { gzip",
    ),
    (
        reading("text", 4.0, 3.0, 2.0, 1.0, encoding="gzip"),
        {"proxy": BY_NAME["nginx"]},
        "problem",
        "as gzip: nginx: proxy_buffering off; gzip off;",
    ),
    (reading(encoding="gzip"), {}, "hint", "in spite of no-transform"),
    (reading(head=2.9), {}, "ok", "the head came with the first of them"),
    (reading(lines={}, ended=60.2), {}, "problem", "cut after 60 s of silence, and text cannot"),
    (reading("events", lines={}, ended=60.2), {}, "hint", "proxy_read_timeout 1d"),
    (reading(lines={0: (1000.0, 5000.0)}), {}, "problem", "1 of 4 lines"),
    (reading("websocket", lines={}, status=426), {}, "problem", "proxy_set_header Upgrade"),
    (
        reading("websocket", lines={}, status=426),
        {"proxy": BY_NAME["lighttpd"]},
        "problem",
        'proxy.header = ("upgrade" => "enable")',
    ),
    (reading(lines={}, status=403, fault="the answer is 403"), {}, "hint", "may not read"),
    (reading("websocket", lines={}, status=200, fault="the answer is 200"), {}, "problem", "is 200"),
]


def found(facts: Passage) -> dict[str, Finding]:
    """Return what is found, by check."""
    return {one.check: one for one in passage_findings(facts)}


def test_all_is_well():
    """A way that changes nothing has a line for each check, all of them ok."""
    levels = {name: one.level for name, one in found(GOOD).items()}

    assert levels == dict.fromkeys(
        ("server", "host", "prefix", "text", "websocket", "push", "upload", "viewer"), "ok"
    )


@pytest.mark.parametrize(("check", "changes", "level", "text"), CASES)
def test_check(check: str, changes: dict[str, Any], level: str, text: str):
    """Each fault has its level, and the line that cures it."""
    one = found(replace(GOOD, **changes))[check]

    assert one.level == level
    assert text in str(one)


@pytest.mark.parametrize(("one", "changes", "level", "text"), FORMS)
def test_form(one: Reading, changes: dict[str, Any], level: str, text: str):
    """What came of a form is judged by clocks that need not agree: another form came without delay."""
    finding = found(replace(GOOD, readings=(one, reading("polls")), **changes))[one.form]

    assert finding.level == level
    assert text in str(finding)


def test_server_that_cannot_be_used():
    """Then there is nothing else to say."""
    lines = passage_findings(Passage(url="http://a/", fault="it is refused", advice="--allow-host a"))

    assert [str(one) for one in lines] == ["problem server: it is refused: --allow-host a"]
