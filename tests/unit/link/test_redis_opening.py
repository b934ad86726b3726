"""URLs of Redis mean what they mean to redis-py."""

import pytest
from redis.connection import SSLConnection
from redis.connection import parse_url as parse_url_of_theirs
from redis.crc import key_slot as key_slot_of_theirs

from runcast.link.redis_opening import parse_url, place_of
from runcast.link.redis_servers import key_slot


@pytest.mark.parametrize(
    "url",
    [
        "redis://engine.example",
        "redis://engine.example:7000/5",
        "redis://alice:se%2Fcr%40et@engine.example",
        "redis://:secret@[::1]:7000/1?client_name=ours",
        "redis://engine?db=7&username=alice&password=x%26y",
        "rediss://engine/2?ssl_ca_certs=/a%20b/ca.pem&ssl_certfile=c&ssl_keyfile=k&ssl_password=p",
        "unix:///run/redis.sock?db=3",
        "unix://alice:secret@/run/redis.sock",
    ],
)
def test_as_redis_py(url: str):
    """Each part of a URL has the name and the value that redis-py gives it."""
    theirs = dict(parse_url_of_theirs(url))
    kind = theirs.pop("connection_class", None)
    if "path" not in theirs:
        theirs = {"host": "localhost", "port": 6379} | theirs

    assert parse_url(url) == {"db": 0, "tls": kind is SSLConnection} | theirs


@pytest.mark.parametrize(
    "url",
    [
        "http://engine",
        "redis://engine/one",
        "redis://engine:port",
        "redis://engine?ssl_ca_certs=f",  # has no TLS
        "rediss://engine?ssl_cert_reqs=perhaps",
        "redis://engine?retry=1",
        "redis://engine#fragment",
        "unix://",
    ],
)
def test_other_urls(url: str):
    """What is no such URL, or has an option that does nothing here, is refused."""
    with pytest.raises((ValueError, KeyError)):
        parse_url(url)


def test_checks_of_certificates():
    """A server's certificate is checked, unless the URL says that it is not."""
    options = parse_url("rediss://engine?ssl_cert_reqs=none&ssl_check_hostname=false")

    assert (options["ssl_cert_reqs"], options["ssl_check_hostname"]) == (False, False)


def test_places_for_people():
    """People are told the address or the socket, and no password."""
    places = [place_of(parse_url(url)) for url in ("redis://:secret@engine/1", "unix://:secret@/run/redis")]

    assert places == ["engine:6379", "/run/redis"]


@pytest.mark.parametrize("key", ["a", "rc:{run}log", "{}a", "a{b}{c}", "a{b", "}{a}", "a}{}b", ""])
def test_slots(key: str):
    """A key is in the slot in which other clients look for it."""
    assert key_slot(key.encode()) == key_slot_of_theirs(key.encode())
