"""URLs of sentinels: which options are the servers', and which are theirs."""

import pytest

from runcast.errors import UsageError
from runcast.link.opening import open_link
from runcast.link.redis_sentinel import parse_sentinels


def test_url_of_sentinels():
    """User, password, database and options are the servers'; sentinels have their own, and the same TLS."""
    options, sentinels = parse_sentinels(
        "rediss+sentinel://me:p%40ss@s1:7000,s2,[::1]:7/main/2?ssl_ca_certs=%2Fca&sentinel_username=you"
        "&sentinel_password=secret"
    )

    assert (options["username"], options["password"], options["db"]) == ("me", "p@ss", 2)
    assert options["ssl_ca_certs"] == "/ca"
    assert not any(name.startswith("sentinel") for name in options)
    assert sentinels is not None
    assert sentinels.addresses == (("s1", 7000), ("s2", 26379), ("::1", 7))
    assert sentinels.name == "main"
    assert sentinels.options == {
        "db": 0,
        "tls": True,
        "ssl_ca_certs": "/ca",
        "username": "you",
        "password": "secret",
    }


def test_url_of_a_server():
    """A URL of anything else stays as it is."""
    options, sentinels = parse_sentinels("redis://h:1/3")
    assert (options["host"], options["db"], sentinels) == ("h", 3, None)


@pytest.mark.parametrize(
    "place", ["", "s1:7000", "s1:7000/", "/main", "s1,,s2/main", "s1:x/main", "[::1/main", "::1/main"]
)
def test_no_url_of_sentinels(place: str):
    """Without sentinels, their ports as numbers, or the name of a primary it is none."""
    with pytest.raises(UsageError, match=r"redis\+sentinel://HOST:PORT,HOST:PORT/NAME/DB") as error:
        open_link(f"redis+sentinel://me:secret@{place}")
    assert "secret" not in str(error.value)
