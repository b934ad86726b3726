"""Who somebody is: the words for people, the JSON, and who acts in a context."""

import contextvars
import os
import pwd

import pytest

from runcast.acting import acting, acting_kind, acting_peer, acting_who
from runcast.who import RETENTION, TOKEN, VISITOR, Kind, Who

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    ("who", "text"),
    [
        (Who(Kind.COMMAND_LINE, "ana"), "ana, on the command line"),
        (Who(Kind.PYTHON, "ana"), "ana, by Python"),
        (Who(Kind.USER, "ana"), "ana"),
        (Who(Kind.USER), "user"),
        (Who(Kind.PROXY_USER, "ana"), "ana"),
        (Who(Kind.SCOPED_TOKEN, "ci"), "the token ci"),
        (Who(Kind.HOOK, "deploy"), "the hook deploy"),
        (TOKEN, "the server's token"),
        (Who(Kind.SHARE_LINK), "a share link"),
        (VISITOR, "a visitor"),
        (RETENTION, "retention"),
        (Who("of a later version", "x"), "x"),
    ],
)
def test_words(who: Who, text: str):
    """Each kind has its words, and the JSON gives it back."""
    assert str(who) == text
    assert Who.from_json(who.to_json()) == who


@pytest.mark.parametrize("value", [None, "ana", [], {}, {"kind": 1}, {"kind": "user", "name": None}])
def test_what_is_nobody(value: object):
    """What is not of this form is nobody that is known."""
    assert Who.from_json(value) is None


def test_outside_of_all_doors():
    """Where nothing says who acts it is the user of this process, by Python."""
    assert contextvars.Context().run(acting_who) == Who("python", ME)
    assert contextvars.Context().run(acting_peer) == ""


def test_inside():
    """Within a context it is who that says, looked for only where somebody needs to know; then who it was."""
    asked = []

    def find() -> Who:
        asked.append(1)
        return Who("user", "ana")

    with acting_kind(Kind.COMMAND_LINE):
        with acting(find, "10.0.0.7"):
            assert not asked
            assert (acting_who(), acting_peer()) == (Who("user", "ana"), "10.0.0.7")
        assert (acting_who(), acting_peer()) == (Who("command line", ME), "")
