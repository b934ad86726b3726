"""Deliveries of other services: whose signature is right, and what is refused with which words."""

import hashlib
import hmac

import pytest

from runcast.server.inbound import KINDS, BadDelivery, Delivery, Inbound, NotSigned
from runcast.signatures import key_of, sign_standard

SECRET = "It's a Secret to Everybody"
KEY = key_of(SECRET)
BODY = b'{"type": "run.ended"}'
NOW = 1_800_000_000
HEX = hmac.new(KEY, BODY, hashlib.sha256).hexdigest()

GITHUB = Inbound("github", KEY, KINDS["github"])
GITEA = Inbound("gitea", KEY, KINDS["gitea"])
STANDARD = Inbound("standard", KEY, KINDS["standard"])
OWN = KINDS["hmac"]._replace(delivery="x-id", event="x-what")
PLAIN, NAMED = Inbound("hmac", KEY, KINDS["hmac"]), Inbound("hmac", KEY, OWN)


def signed(kind: str, **changed: str) -> dict[str, str]:
    """Return the headers of a right delivery, some of them changed or, where empty, left out."""
    stamp = changed.get("webhook_timestamp", str(NOW))
    headers = {
        "github": {
            "x-hub-signature-256": f"sha256={HEX}",
            "x-github-event": "push",
            "x-github-delivery": "72d3162e",
        },
        "gitea": {"x-gitea-signature": HEX, "x-gitea-event": "push", "x-gitea-delivery": "f6266f16"},
        "standard": {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(NOW),
            "webhook-signature": sign_standard(KEY, "msg_1", int(stamp) if stamp.isdigit() else 0, BODY),
        },
        "hmac": {"x-signature-256": HEX, "x-id": "7", "x-what": "built"},
    }[kind]
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value}


@pytest.mark.parametrize(
    ("inbound", "expected"),
    [
        (GITHUB, Delivery("72d3162e", "push")),
        (GITEA, Delivery("f6266f16", "push")),
        (STANDARD, Delivery("msg_1", "run.ended")),
        (PLAIN, Delivery("", "")),
        (NAMED, Delivery("7", "built")),
    ],
)
def test_right(inbound: Inbound, expected: Delivery):
    """A delivery that is signed with the secret says its id and its event."""
    assert inbound.check(signed(inbound.kind), BODY, NOW) == expected


def test_prefix_of_others():
    """Other senders may write GitHub's prefix, or none."""
    assert PLAIN.check({"x-signature-256": f"SHA256={HEX}"}, BODY) == Delivery("", "")


@pytest.mark.parametrize("inbound", [GITHUB, GITEA, STANDARD, NAMED], ids=lambda one: one.kind)
def test_wrong(inbound: Inbound):
    """Another body, another secret and half a signature are refused with the same words; none with others."""
    headers = signed(inbound.kind)
    name = inbound.headers.signature
    said = set()
    for given, body in (
        (headers[name], BODY + b" "),
        (headers[name][:-1], BODY),
        (headers[name][:20], BODY),
        ("sha256=", BODY),
        ("", BODY),
        ("é", BODY),
    ):
        with pytest.raises(NotSigned) as caught:
            inbound.check(headers | {name: given}, body, NOW)
        assert (caught.value.http_status, caught.value.wrong) == (403, True)
        said.add(str(caught.value))
    assert len(said) == 1
    assert HEX not in said.pop()
    with pytest.raises(NotSigned, match="got none") as caught:
        inbound.check({key: value for key, value in headers.items() if key != name}, BODY, NOW)
    assert (caught.value.http_status, caught.value.wrong) == (401, False)


def test_old():
    """What is signed with a time may not be far from now; without a right signature nothing is said of it."""
    for away, words in ((301, "301 s old"), (-301, "301 s ahead")):
        with pytest.raises(NotSigned, match=words) as caught:
            STANDARD.check(signed("standard"), BODY, NOW + away)
        assert not caught.value.wrong
    assert STANDARD.check(signed("standard"), BODY, NOW + 299).id == "msg_1"
    with pytest.raises(NotSigned, match="by the secret"):
        STANDARD.check(signed("standard", webhook_signature="v1,eA=="), BODY, NOW + 301)


@pytest.mark.parametrize("stamp", ["", "soon", "-1", "\N{ARABIC-INDIC DIGIT ONE}", "1" * 16])
def test_no_time(stamp: str):
    """What is no time is none."""
    with pytest.raises(NotSigned, match="webhook-timestamp with seconds"):
        STANDARD.check(signed("standard", webhook_timestamp=stamp), BODY, NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x_github_delivery", ""), ("x_github_delivery", "a" * 201), ("x_github_event", "pu\tsh")],
)
def test_unusual(name: str, value: str):
    """A signed delivery without an id, or with one that is none, starts nothing."""
    with pytest.raises(BadDelivery, match="expected"):
        GITHUB.check(signed("github", **{name: value}), BODY, NOW)


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'{"type": 3}', b'{"type": "\\u00e9"}', b"[" * 100_000])
def test_no_type(body: bytes):
    """A body without a usual type is an event without a name."""
    headers = signed("standard") | {"webhook-signature": sign_standard(KEY, "msg_1", NOW, body)}

    assert STANDARD.check(headers, body, NOW).event == ""


def test_events():
    """All events start the command, or those that are listed; GitHub's ping starts nothing by itself."""
    some = Inbound("github", KEY, KINDS["github"], events=("push", "ping"))

    assert (GITHUB.is_wanted("push"), GITHUB.is_ping("ping"), GITEA.is_ping("ping")) == (True, True, False)
    assert (some.is_wanted("issues"), some.is_wanted("push"), some.is_ping("ping")) == (False, True, False)


def test_secret_is_not_shown():
    """What signs is in no representation."""
    assert "Secret" not in repr(GITHUB)
