"""Tokens of share links: what is right, what is not, and where a request has one."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.ids import new_run_id
from runcast.web.http.share import COOKIE, ShareKey, cookie_values, given_in, share_cookie, without_share
from tests.unit.texts import texts

KEY = ShareKey("correct-horse-battery-staple")
ID = "01jd0000000000000000000000"
EXPIRES = 1_800_000_000
TOKEN = KEY.token(ID, EXPIRES)


def test_right():
    """A token is right for its run and its secret, and says when it expires."""
    assert KEY.expiry(ID, [TOKEN]) == EXPIRES
    assert ShareKey(b"correct-horse-battery-staple").expiry(ID, [TOKEN]) == EXPIRES
    assert KEY.expiry(ID, ["nonsense", KEY.token(ID, EXPIRES + 1), TOKEN]) == EXPIRES + 1


def test_wrong():
    """It is right for no other run and no other secret, with no other time, and in no other spelling."""
    time, mac = TOKEN.split(".")
    spellings = [
        *("", ".", time, mac, f"{time}.", f".{mac}", f"{time}.{mac}=", f"{time}.{mac} ", f" {TOKEN}"),
        *(f"0{TOKEN}", f"+{TOKEN}", f"{TOKEN}.", f"{time}.{mac[:-1]}", f"{time}.{mac.swapcase()}"),
        *(f"{EXPIRES + 1}.{mac}", f"{'9' * 12}.{mac}", f"{'9' * 5000}.{mac}", f"-1.{mac}", f"1e9.{mac}"),
        *(f"{time}.0.{mac}", f"\uff11{time[1:]}.{mac}", f"{time}.{mac}\0", "\udcff", "\udcff.\udcff", "1.é"),
    ]

    assert KEY.expiry(ID, []) is None
    for one in spellings:
        assert KEY.expiry(ID, [one]) is None, one
    assert KEY.expiry(new_run_id(), [TOKEN]) is None
    assert KEY.expiry(ID.upper(), [TOKEN]) is None
    for secret in ("", "correct-horse-battery-stapl", "Correct-horse-battery-staple"):
        assert ShareKey(secret).expiry(ID, [TOKEN]) is None


@given(texts())
def test_guessed(text: str):
    """No text is a token but one that the key made."""
    assert KEY.expiry(ID, [text, f"{EXPIRES}.{text}"]) is None


@given(st.binary(max_size=64), st.integers(1, 10**12 - 1))
def test_any_secret(secret: bytes, expires: int):
    """Any secret makes tokens that it knows again, of letters that a URL and a cookie may have."""
    key = ShareKey(secret)
    token = key.token(ID, expires)

    assert key.expiry(ID, [token]) == expires
    assert given_in(f"a=1&share={token}", [f"a=1; {COOKIE}={token}"]) == [token, token]


def test_many():
    """A request with many tokens costs no more than one with a few."""
    assert KEY.expiry(ID, ["1.x"] * 10_000 + [TOKEN]) is None


def test_cookie_values():
    """All cookies of a name are found, and none whose name only begins so."""
    headers = [
        f'a=b; {COOKIE}=1;{COOKIE}="2" ; x{COOKIE}=3',
        f"{COOKIE}-assets=4;; {COOKIE}",
        f"{COOKIE}=5=6",
    ]

    assert cookie_values(headers, COOKIE) == ["1", "2", "", "5=6"]


@given(
    st.lists(st.sampled_from(["share", "%73hare", "a", "line", "sh", "", "=", "&", f"={TOKEN}", "=1", "+"]))
)
def test_without_share(parts: list[str]):
    """Without its tokens a query has every other parameter, in order."""
    query = "".join(parts)

    assert parse_qsl(without_share(query), keep_blank_values=True) == [
        pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "share"
    ]
    assert given_in(without_share(query)) == []


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("", "/runs/ID"),
        ("/our/tools", "/our/tools/runs/ID"),
        ("/it's (ours)/~x:1", "/it's%20(ours)/~x:1/runs/ID"),
        ("/a; Domain=evil.example", "/a%3B%20Domain=evil.example/runs/ID"),
        ("/a\r\nSet-Cookie: b=c", "/a%0D%0ASet-Cookie:%20b=c/runs/ID"),
    ],
)
def test_cookie(root: str, path: str):
    """The cookie is for the addresses of the run, as a browser writes them, and no script reads it."""
    cookie = share_cookie(root, "ID", TOKEN, 60, secure=False)

    assert cookie == f"{COOKIE}={TOKEN}; Path={path}; Max-Age=60; HttpOnly; SameSite=Lax"
    assert share_cookie(root, "ID", TOKEN, 60, secure=True) == f"{cookie}; Secure"
