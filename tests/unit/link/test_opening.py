"""Opening a link: what is refused, and that no message has a password."""

import pytest

from runcast.errors import LinkError, RuncastError, UsageError
from runcast.link.opening import open_link
from runcast.link.redis_errors import error_of
from runcast.link.resp import ServerError


@pytest.mark.parametrize("url", ["redis://user:secret/word@host:6379/0", "redis://:secret@host:port/0"])
def test_no_password_in_a_refusal(url: str):
    """A URL that is none is refused without its text, or that of the error below."""
    with pytest.raises(UsageError, match="as %XX") as caught:
        open_link(url)

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_other_engines():
    """Another scheme is refused with those that there are."""
    schemes = r"redis, rediss, unix, redis\+sentinel, rediss\+sentinel, postgresql, postgres"
    with pytest.raises(UsageError, match=f"{schemes}, got 'amqp'"):
        open_link("amqp://user:secret@host")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LOADING Redis is loading the dataset in memory", "LinkDown"),
        ("CLUSTERDOWN The cluster is down", "LinkDown"),
        ("MOVED 1 127.0.0.1:2", "LinkDown"),
        ("READONLY You can't write against a read only replica.", "LinkDown"),
        ("MASTERDOWN Link with MASTER is down", "LinkDown"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "Full"),
        ("MISCONF Errors writing to the AOF file", "Full"),
        ("NOPERM No permissions to access a key", "LinkRefused"),
        ("NOAUTH Authentication required.", "LinkRefused"),
        ("WRONGTYPE Operation against a key", "LinkRefused"),
    ],
)
def test_what_errors_mean(text: str, kind: str):
    """Each error of a server is of one kind: wait, make room, or change something."""
    error = error_of(ServerError(text), "here:1")

    assert type(error).__name__ == kind
    assert isinstance(error, LinkError | RuncastError)
    assert not str(error).endswith(".")
    assert text.split()[0] in str(error)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("NOAUTH Authentication required.", "see user and password in the URL"),
        ("WRONGPASS invalid username-password pair", "see user and password in the URL"),
        ("NOPERM No permissions to access a key", "give its user the right"),
    ],
)
def test_what_to_do_about_a_refusal(text: str, advice: str):
    """Who is not let in looks at the URL, and who lacks a right asks for it."""
    assert str(error_of(ServerError(text), "here:1")).endswith(advice)
