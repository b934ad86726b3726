"""Opening a link: what it loads, and where its URL leads."""

from contextlib import closing
from pathlib import Path

import pytest

from runcast.errors import LinkDown, LinkRefused
from runcast.link.opening import open_link
from runcast.link.redis_scripts import VERSION
from tests.helpers.children import run_python
from tests.helpers.engines import serving, valkey


def test_no_client_is_needed():
    """A link to Redis needs no package beside runcast, and loads no TLS where the URL has none."""
    said = run_python(
        """
        import sys
        sys.modules["redis"] = None
        from runcast.link.opening import open_link
        open_link("redis://localhost", prefix="x:").close()
        print({"ssl", "hashlib", "asyncio"} & set(sys.modules))
        """
    )

    assert said == "set()\n"


def test_engine_is_loaded_late():
    """The module that opens links loads no engine before one is opened."""
    said = run_python("import sys, runcast.link.opening; print('runcast.link.redis_link' in sys.modules)")

    assert said == "False\n"


@pytest.mark.slow
def test_other_versions(tmp_path: Path):
    """Keys of another version of runcast are left alone, and it says what to do; keys without one get it."""
    with serving(valkey(), tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        with closing(open_link(url)) as link:
            first = link.wait(link.hello()).epoch
        assert server.command("HDEL", "rc:epoch", "version") == 1
        with closing(open_link(url)) as link:
            assert link.wait(link.hello()).epoch == first
        assert server.command("HGET", "rc:epoch", "version") == str(VERSION).encode()

        for spoil, found in (
            (("HSET", "rc:epoch", "version", "99"), "99"),
            (("SET", "rc:epoch", "of an early version"), "another one"),
        ):
            server.command(*spoil)
            with closing(open_link(url)) as link:
                with pytest.raises(LinkRefused, match=f"they have {found}: have all hosts use the same"):
                    link.wait(link.hello())
                with pytest.raises(LinkRefused, match="or another prefix"):
                    link.wait(link.create("run", b"{}", "a"))
            assert server.command("EXISTS", "rc:{run}run") == 0


@pytest.mark.slow
def test_where_urls_lead(tmp_path: Path):
    """A URL leads to the socket, the user and the database that it names; a connection has its name."""
    path = tmp_path / "socket"
    with serving(valkey(), tmp_path, "--unixsocket", str(path), "--requirepass", "se/cret") as server:
        for url in (
            f"unix://:se%2Fcret@{path}?db=3&client_name=ours",
            f"redis://default:se%2Fcret@127.0.0.1:{server.port}/4",
        ):
            with closing(open_link(url)) as link:
                link.wait(link.hello())
                assert link.wait(link.create("run", b"{}", "a")) == "run"
        import redis

        with redis.Redis(port=server.port, password="se/cret", db=3) as client:
            assert client.exists("rc:{run}run")
            client.select(4)
            assert client.exists("rc:{run}run")
        for url, error, said in (
            (f"unix://:se%2Fcret@{path}?db=99", LinkRefused, "look at its database"),
            (f"unix://:wrong@{path}", LinkRefused, "see user and password"),
            (f"unix://{tmp_path}/none", LinkDown, "No such file"),
            ("redis://127.0.0.1:1", LinkDown, "refused"),
            ("redis://nowhere.invalid", LinkDown, "is it up"),
        ):
            with closing(open_link(url)) as link, pytest.raises(error, match=said):
                link.wait(link.hello())
