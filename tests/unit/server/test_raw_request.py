"""How a request is read: hosts, origins, queries, for all that anybody may send."""

import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.server.raw_request import (
    RawRequest,
    hide_token,
    host_name,
    local_url,
    same_origin,
    spellings,
    without_token,
)
from tests.unit.texts import texts

TOKEN = "correct-horse-battery-staple"


def asked(path: str = "/runs", query: str = "", **headers: str) -> RawRequest:
    return RawRequest("GET", path, query, {name: [value] for name, value in headers.items()}, "http")


@given(texts())
def test_host_name_is_strict(text: str):
    """What passes as a name has only letters that a name may have."""
    name = host_name(text, port=True)

    assert name is None or re.fullmatch(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+", name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LocalHost", "localhost"),
        ("::1", "[::1]"),
        ("[0:0::1]", "[::1]"),
        ("192.0.2.1", "192.0.2.1"),
        ("a:80", None),
        ("http://a", None),
        ("", None),
    ],
)
def test_host_name_of_an_option(text: str, name: str | None):
    """A name or an address without a port comes in its usual spelling."""
    assert host_name(text) == name


@given(texts(), texts())
def test_origin_is_compared_whole(origin: str, host: str):
    """No text passes as an origin but a scheme and exactly the Host."""
    assert not same_origin(origin, asked(host=host)) or origin.lower().partition("://")[2] == host.lower()


@pytest.mark.parametrize(
    "query", [f"token={TOKEN}", f"a=1&token={TOKEN}&b", f"%74oken={TOKEN}", f"to%6ben={TOKEN}"]
)
def test_token_is_hidden(query: str):
    """A query for the log has no token in it, however its name is spelled."""
    assert TOKEN not in hide_token(query)


@pytest.mark.parametrize(
    "query", ["Token=", "a=1;token=", "a;TOKEN=", "%54oken=", "?token=", "+token=", "share=", "a=1&Sh%61re="]
)
def test_hidden_however_spelled(query: str):
    """The token does not come into the log by another case or separator."""
    assert hide_token(f"{query}{TOKEN}&b=2") == f"{query}***&b=2"


@given(texts(max_size=8), st.lists(st.sampled_from(["", "x", "X"]), min_size=len(TOKEN), max_size=len(TOKEN)))
def test_every_spelling_is_found(around: str, encoded: list[str]):
    """A token is found in a URL whichever of its letters are percent-encoded, and however."""
    spelled = "".join(
        f"%{ord(letter):02{form}}" if form else letter for letter, form in zip(TOKEN, encoded, strict=True)
    )

    assert spellings(TOKEN).sub("***", f"/{around}/{spelled}") == f"/{around}/***"


@given(
    st.lists(st.sampled_from(["token", "%74oken", "a", "tail", "to", "", "=", "&", f"={TOKEN}", "=1", "+"]))
)
def test_without_token(parts: list[str]):
    """Without the token a URL has every other parameter, in order, and no token."""
    query = "".join(parts)

    rest = without_token(asked(query=query)).partition("?")[2]

    assert parse_qsl(rest, keep_blank_values=True) == [
        pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "token"
    ]


@given(st.text(alphabet="/\\\t\r\n .:@%aé", max_size=8), texts(max_size=4))
def test_local_url(path: str, query: str):
    """A reference to a path is never one to another host."""
    assert re.match(r"/(?![/\\\s])", local_url(asked(path), query))
