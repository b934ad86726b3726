"""The URL of a shared store, and what the store keeps of it."""

import json
import os
from pathlib import Path

import pytest

from runcast.errors import StoreUnusable
from runcast.keep import Keep
from runcast.runs import store_path
from runcast.store.folder import make_store
from runcast.store.link_urls import is_link_url, parse_link
from runcast.store.links import LinkFile, LinkStatus, is_linked, read_link, read_status
from runcast.store.shelf_urls import Bucket, parse_shelf


def test_url_is_divided(tmp_path: Path):
    """What is the store's is taken out of the URL, what is the engine's stays in it."""
    link = parse_link(
        f"rediss://me:pa%40ss@h:7000/2?store={tmp_path}/s&shelf=file:/shelf&ssl_ca_certs=/ca&host=x"
        "&lost_after=30&prefix=mine:&mirrors=7d&mirrors=100"
    )

    assert link.folder == f"{tmp_path}/s"
    assert link.settings == LinkFile(
        "rediss://me:pa%40ss@h:7000/2?ssl_ca_certs=%2Fca", "file:/shelf", "x", 30.0, "mine:", "7d,100"
    )
    assert link.settings.keep_mirrors == Keep(runs=100, seconds=7 * 86400)
    assert link.place == "rediss://h:7000/2?mine:"
    assert parse_link("unix:///run/valkey.sock?db=1").settings.url == "unix:///run/valkey.sock?db=1"
    link = parse_link("redis+sentinel://me:pw@s1,[::1]:7/main/2?store=/s&sentinel_password=x")
    assert link.settings.url == "redis+sentinel://me:pw@s1,[::1]:7/main/2?sentinel_password=x"
    assert link.place == "redis+sentinel://s1:,::1:7/main/2?rc:"
    link = parse_link("postgres://me:pw@h1:1,h2:2/db?store=/s&host=x&sslmode=require&options=-c%20a%3Db")
    assert link.settings.url == "postgres://me:pw@h1:1,h2:2/db?sslmode=require&options=-c%20a%3Db"
    assert (link.place, link.settings.prefix) == ("postgresql://h1:1,h2:2/db?runcast", "runcast")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("file:///mnt/a%23b", "/mnt/a#b"),
        ("file:///mnt/a%ff", os.fsdecode(b"/mnt/a\xff")),
        ("s3://runs?endpoint=https://minio.example:9000/", Bucket("runs", "", "https://minio.example:9000/")),
        ("s3://runs/a?endpoint=http://[::1]:9000", Bucket("runs", "a/", "http://[::1]:9000")),
    ],
)
def test_place_of_a_shelf(url: str, place: str | Bucket):
    """A shelf is exactly where its URL says, whatever bytes a folder's name has."""
    assert parse_shelf(url)[0] == place


def test_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Without a folder in it a URL has one of its own, which another password does not change."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, same = store_path("redis://a:old@h:1/0"), store_path("redis://a:new@h:1/0")

    assert one == same
    assert one.startswith(f"{tmp_path}/runcast-link-")
    assert store_path("redis://h:1/1") != one
    assert store_path("redis://h:1/0?store=~/runs") == os.path.expanduser("~/runs")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis:///0", "expected a host in the URL"),
        (
            "postgresql://u:secret@/db",
            "expected a host in the URL of the store, there is none: postgresql://",
        ),
        ("redis://h?store=", "expected a value of store in the URL"),
        ("redis://h?mirrors=soon", "as mirrors in the URL of the store"),
        ("redis://u:secret@h?stor=/s", "expected store= in the URL of the store, got 'stor'="),
        ("redis://h?Shelf=file:///s", "expected shelf= in the URL of the store, got 'Shelf'="),
        ("redis://h:port", "expected a number below 65536 as port"),
        ("redis://:a/secret@h:1/0", "in user and password / is written as %2F"),
        ("redis://[::1:80", "half an IPv6 address"),
        ("redis://u:secret@h?lost_after=soon", "expected a number as lost_after"),
        ("redis://u:secret@h:1,g:2/0", r"sentinels are redis\+sentinel://HOST:26379,HOST:26379/NAME/0"),
        ("redis+sentinel://u:secret@h:1", "the name of the primary that they watch"),
        ("rediss+sentinel://u:secret@h:1,/name/0", "rediss.sentinel://HOST:26379"),
        ("redis://u:secret@h?lost_after=0.5", "expected lost_after of 1 second or more in the URL, got 0.5"),
        ("redis://h/0?store=/s#secret", "without #: write it as %23"),
        ("redis://h/0?store=/s&host=a%0Ab", "without control characters as host"),
        ("postgresql://h/db?store=/s&prefix=%00", "without control characters as prefix"),
        ("redis://h/0?store=/s%ff", "expected UTF-8"),
        ("file:/s?shelf=file:///m#secret", "without #: write it as %23"),
        ("file:/s?shelf=file:///m%00", "without control characters"),
        ("file:/s?shelf=s3://runs/a%250Ab", "without control characters"),
        ("file:/s?shelf=s3://[::1", "expected the URL of a shelf"),
        ("file:/s?shelf=s3://runs?region=a&region=b", "expected region once"),
        ("file:/s?shelf=s3://runs?endpoint=http://my_minio:9000", "so not the `_` of my_minio"),
        ("file:/s?shelf=s3://runs?endpoint=http://:9000", "expected the server of the shelf"),
        ("file:/s?shelf=s3://runs?endpoint=http://[::1:9000", "expected the server of the shelf"),
        ("file:/s?shelf=s3://runs?endpoint=http://u:secret@h", "expected the server of the shelf"),
    ],
)
def test_url_without_meaning(url: str, message: str):
    """What has no meaning is refused, without the password in the message."""
    with pytest.raises(StoreUnusable, match=message) as error:
        parse_link(url)
    assert "secret" not in str(error.value)
    assert is_link_url(url)


def test_other_stores_are_none():
    """A folder, a file and memory are no URLs of engines."""
    for where in ("redis", "redis:x", "file://redis", "memory:", "/redis://x", "http://h"):
        assert not is_link_url(where)


def test_kept_for_its_user_alone(tmp_path: Path):
    """The link is kept with the host's name of the first time, in a file that only its user can read."""
    store = str(tmp_path)
    assert (read_link(store), is_linked(store), read_status(store)) == (None, False, None)
    make_store(store)
    first = LinkFile("redis://h/0").write(store)

    assert is_linked(store)
    assert read_link(store) == first
    assert first.host.endswith(json.loads(Path(store, "store.json").read_text())["id"][-6:])
    assert os.stat(f"{store}/link.json").st_mode & 0o777 == 0o600
    assert LinkFile("redis://h/1").write(store).host == first.host
    assert LinkFile("redis://h/1", host="other").write(store).host == "other"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no JSON", "expected a JSON object"),
        ('{"url": 1, "host": "x"}', "expected url and host as texts"),
        (
            '{"url": "redis://h", "host": "x", "shelf": 1}',
            "expected shelf, prefix, mirrors, secret as texts",
        ),
        ('{"url": "redis://h", "host": "x", "lost_after": 0}', "expected lost_after as seconds"),
    ],
)
def test_damaged_link(tmp_path: Path, content: str, message: str):
    """A damaged file is an error that says what to do; so is one that others can read."""
    path = tmp_path / "link.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(StoreUnusable, match=message):
        read_link(str(tmp_path))
    path.chmod(0o644)
    with pytest.raises(StoreUnusable):
        read_link(str(tmp_path))


def test_status(tmp_path: Path):
    """What the agent says is read as it was written; what is damaged says nothing."""
    status = LinkStatus(False, 1.5, "expected a server")
    status.write(str(tmp_path))

    assert read_status(str(tmp_path)) == status
    (tmp_path / ".link.json").write_text("{}")
    assert read_status(str(tmp_path)) is None
