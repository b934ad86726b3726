"""The name of a user: as each framework has it, and as an application says it."""

from types import SimpleNamespace as Thing
from typing import Any

import pytest
from starlette.authentication import BaseUser, SimpleUser, UnauthenticatedUser

from runcast import Store
from runcast.acting import acting_who
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.adapters.users import name_in, name_of
from runcast.web.http.messages import Request
from runcast.who import VISITOR, Who


class Nameless(BaseUser):
    """A user of Starlette who says nothing but that somebody is logged in."""

    @property
    def is_authenticated(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (None, None),
        (Thing(), None),
        (Thing(is_authenticated=False, username="ana"), None),
        (Thing(is_authenticated="no", username="ana"), None),
        (Thing(is_authenticated=True, get_username=lambda: "ana@x.example", username="ana"), "ana@x.example"),
        (Thing(is_authenticated=True, username="ana", get_id=lambda: "17"), "ana"),
        (Thing(is_authenticated=True, username="", get_id=lambda: "17"), "17"),
        (Thing(is_authenticated=True, get_id=lambda: None), ""),
        (SimpleUser("ana"), "ana"),
        (UnauthenticatedUser(), None),
        (Nameless(), ""),
    ],
)
def test_user(user: Any, name: str | None):
    """A user has a name in the way of its framework; nobody has one who is not logged in."""
    assert name_of(user) == name
    assert name_in({"type": "http", "user": user}) == name


def test_environment():
    """A WSGI server names a user in REMOTE_USER; what a client says in a header is another variable."""
    assert name_in({"REMOTE_USER": "ana"}) == "ana"
    assert name_in({"REMOTE_USER": "", "HTTP_REMOTE_USER": "ben"}) is None
    assert name_in(object()) is None


def test_by_the_application(tmp_path: Any):
    """`user=` goes before what the framework has; a request knows who sends it, and `authorize` gets that."""
    seen: list[Who] = []

    def authorize(verb: str, run: object, request: Request) -> bool:
        seen.append(request.who)
        return True

    cast = RuncastApp(
        store=Store(str(tmp_path)), authorize=authorize, user=lambda request: request.header("x-who")
    )
    for headers in ({"x-who": "ana"}, {}):
        cast.serve(Request("GET", "/runs", headers=headers, original={"REMOTE_USER": "ben"}))
    RuncastApp(store=Store(str(tmp_path)), authorize=authorize).serve(
        Request("GET", "/runs", original={"REMOTE_USER": "ben"})
    )

    assert seen == [Who("user", "ana"), VISITOR, Who("user", "ben")]
    assert acting_who().kind == "python"
