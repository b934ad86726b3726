"""People of a server: roles, proxies, the header with a user's name, and the guard that lets them in."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from runcast.errors import UsageError
from runcast.server.guard import Guard, Verdict
from runcast.server.people import People, Role, Roles, parse_header
from runcast.server.proxies import Proxies
from runcast.store.scoped_tokens import TokenFiles
from runcast.web.http.origins import Origins
from runcast.web.http.share import COOKIE, ShareKey
from runcast.who import Who

TOKEN = "correct-horse-battery-staple"
ID = "01jd0000000000000000000000"
PROXY = "10.0.0.5"
NAVIGATION = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
ROLES = Roles({"dev": Role(("ana", "ben"), ("read", "start:backup")), "ops": Role(("ben",), ("*",))})


@pytest.fixture(name="tokens")
def tokens_fixture(tmp_path: Path) -> TokenFiles:
    """The tokens of a store."""
    return TokenFiles(str(tmp_path))


@pytest.fixture(name="guard")
def guard_fixture(tokens: TokenFiles) -> Guard:
    """A guard that knows people by tokens and by a proxy."""
    people = People(tokens, header="X-Remote-User", proxies=Proxies([PROXY]), roles=ROLES)
    return Guard(["127.0.0.1"], TOKEN, Origins(["https://app.example"]), people=people)


def ask(
    guard: Guard, method: str = "GET", path: str = "/runs", peer: str = PROXY, query: str = "", **headers: Any
) -> Verdict:
    """Ask the guard."""
    given = [("host", "127.0.0.1:8765")]
    for name, value in headers.items():
        values = value if isinstance(value, list) else [value]
        given += [(name.replace("_", "-"), one) for one in values]
    return guard.check(method, path, query, given, 0.0, "http", peer)


def refusal(verdict: Verdict) -> tuple[int, str]:
    """Return the status and the error of a refusal."""
    assert verdict.reply is not None
    assert verdict.person is None
    return verdict.reply.status, json.loads(verdict.reply.body)["error"]


# Proxies


@pytest.mark.parametrize(
    ("trusted", "peer", "is_trusted"),
    [
        ([], "127.0.0.1", False),
        ([], "", False),
        (["10.0.0.5"], "10.0.0.5", True),
        (["10.0.0.5"], "::ffff:10.0.0.5", True),
        (["10.0.0.5"], "10.0.0.50", False),
        (["10.0.0.0/24"], "10.0.0.77", True),
        (["10.0.0.0/24"], "10.0.1.77", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["::1"], "127.0.0.1", False),
        (["unix"], "", True),
        (["unix"], "127.0.0.1", False),
        (["127.0.0.1"], "", False),
        (["127.0.0.1"], "localhost", False),
    ],
)
def test_trusted(trusted: list[str], peer: str, is_trusted: bool):
    """A proxy is known by the address of its connection; nobody is by default."""
    assert Proxies(trusted).trust(peer) is is_trusted


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.5/24", "10.0.0", "*", "10.0.0.5:80", "UNIX"])
def test_what_is_no_proxy(text: str):
    """What is no address and no network is refused: a name could lead anywhere tomorrow."""
    with pytest.raises(UsageError, match="expected a proxy as an address, a network or unix"):
        Proxies([text])


@pytest.mark.parametrize(
    "text", ["", "X Remote", "Authorization", "cookie", "X_Remote_User", "1X", "a" * 65, None, 3]
)
def test_what_is_no_header(text: Any):
    """A header that has another meaning, or is none, cannot have a user's name."""
    with pytest.raises(UsageError, match="expected a header that the proxy sets for this alone"):
        parse_header(text)


# Roles


def test_roles():
    """A user has the rights of all of its roles; who has none may read."""
    assert ROLES.of("ana").words == ("read", "start:backup")
    assert ROLES.of("ben").words == ("read", "start:backup", "*")
    assert ROLES.of("eve").words == ("read",)
    assert ROLES.of("Ana").words == ("read",)


def test_default_role():
    """The role `default` is that of all who have no other."""
    roles = Roles({"default": Role((), ("read:public",)), "ops": Role(("ben",), ("*",))})
    assert (roles.of("eve").words, roles.of("ben").words) == (("read:public",), ("*",))
    assert Roles().of("eve").words == ("read",)


# The header


def test_by_proxy(guard: Guard):
    """A trusted proxy says who it is, in UTF-8; with the rights of the role."""
    person = ask(guard, x_remote_user="ana").person
    assert person is not None
    assert (person.who, person.rights.words) == (Who("proxy user", "ana"), ("read", "start:backup"))
    utf8 = "Zoë".encode().decode("latin-1")
    assert ask(guard, x_remote_user=utf8).person.who.name == "Zoë"  # type: ignore[union-attr]


def test_from_elsewhere(guard: Guard):
    """From elsewhere the header is nothing: who sends it is nobody, and learns that this was why."""
    for peer in ("10.0.0.6", "127.0.0.1", ""):
        verdict = ask(guard, peer=peer, x_remote_user="ana")
        assert refusal(verdict) == (401, "UntrustedProxy")
    assert "x_remote" not in verdict.note
    assert ask(guard, peer="10.0.0.6", authorization=f"Bearer {TOKEN}", x_remote_user="ana") == Verdict()


def test_notes_are_few(guard: Guard):
    """The log says it once a minute, whoever goes on to try."""
    notes = [ask(guard, peer="10.0.0.6", x_remote_user="ana").note for _ in range(3)]
    assert [bool(note) for note in notes] == [True, False, False]


@pytest.mark.parametrize("value", [["ana", "ben"], "", "ana, ben", "a\x00b", "a" * 201, "\xff", " "])
def test_names_that_are_none(guard: Guard, value: Any):
    """Two names, or what is none, are nobody: a proxy that adds to what a client sent is found out."""
    assert refusal(ask(guard, x_remote_user=value)) == (401, "WrongUser")


def test_no_header_is_heeded_by_default(tokens: TokenFiles):
    """Without the option the header is nothing, from anywhere."""
    guard = Guard(["127.0.0.1"], TOKEN, people=People(tokens, proxies=Proxies([PROXY])))
    assert refusal(ask(guard, x_remote_user="ana")) == (401, "NoToken")


def test_changes_of_a_proxy_user(guard: Guard):
    """A browser that is logged in at the proxy is so for all pages: what keeps foreign ones out holds."""
    change = {"method": "POST", "path": f"/runs/{ID}/stop", "x_remote_user": "ben"}
    assert ask(guard, **change, x_runcast="1").reply is None
    assert refusal(ask(guard, **change)) == (403, "NoIntent")
    assert refusal(ask(guard, **change, x_runcast="1", origin="https://evil.example")) == (403, "ForeignPage")
    assert refusal(ask(guard, **change, x_runcast="1", sec_fetch_site="cross-site")) == (403, "ForeignPage")
    assert refusal(ask(guard, x_remote_user="ben", sec_fetch_site="cross-site")) == (403, "ForeignPage")


def test_links(guard: Guard):
    """A link in a chat opens its page, which changes nothing; in a frame it does not."""
    linked = {"x_remote_user": "ana", "sec_fetch_site": "cross-site"}
    opened = {name.replace("-", "_"): value for name, value in NAVIGATION.items()}
    assert ask(guard, **linked, **opened).person is not None
    framed = ask(guard, **linked, **opened | {"sec_fetch_dest": "iframe"})
    assert framed.reply is not None
    assert framed.reply.status == 403


def test_listed_pages(guard: Guard):
    """A page of a listed origin reads by what it has itself, not by the login of its reader."""
    page = {"origin": "https://app.example", "path": f"/runs/{ID}/log"}
    assert refusal(ask(guard, **page, x_remote_user="ana"))[0] == 401


def test_token_goes_first(guard: Guard, tokens: TokenFiles):
    """A client that shows a token is whom that says, whatever the proxy adds."""
    assert ask(guard, authorization=f"Bearer {TOKEN}", x_remote_user="ana") == Verdict()
    own = tokens.add("ci", ["read"], None)
    person = ask(guard, authorization=f"Bearer {own}", x_remote_user="ben").person
    assert person is not None
    assert person.who == Who("scoped token", "ci")


# Scoped tokens


def test_by_token(guard: Guard, tokens: TokenFiles):
    """A program is let in by its token, in the header alone: in no URL and no cookie."""
    own = tokens.add("ci", ["start:backup"], None)
    person = ask(guard, authorization=f"Bearer {own}").person
    assert person is not None
    assert (person.who, person.rights.words, person.gone) == (
        Who("scoped token", "ci"),
        ("start:backup",),
        False,
    )
    assert ask(guard, query=f"token={own}").reply is not None
    for cookie in (guard.cookie_name, COOKIE):
        assert ask(guard, cookie=f"{cookie}={own}").reply is not None
    assert ask(guard, authorization=f"Basic {own}").reply is not None


def test_ends(guard: Guard, tokens: TokenFiles):
    """What is revoked ends at once, for those who were let in, too; another of its name is another."""
    own = tokens.add("ci", ["read"], None)
    person = ask(guard, authorization=f"Bearer {own}").person
    assert person is not None
    assert person.may("read", "x")

    tokens.revoke("ci")
    assert person.gone
    assert not person.may("read", "x")
    assert refusal(ask(guard, authorization=f"Bearer {own}")) == (401, "WrongToken")
    tokens.add("ci", ["*"], None)
    assert person.gone


def test_expired(guard: Guard, tokens: TokenFiles):
    """What has expired says so to its sender, who had it; a share link beside it reads all the same."""
    own = tokens.add("ci", ["read"], time.time() - 1)
    verdict = ask(guard, authorization=f"Bearer {own}")
    assert refusal(verdict) == (401, "ExpiredToken")
    assert own not in verdict.note
    share = ShareKey(TOKEN).token(ID, 2_000_000_000)
    read = ask(guard, path=f"/runs/{ID}", query=f"share={share}", authorization=f"Bearer {own}")
    assert read == Verdict(shared=True)


def test_changes_of_a_program(guard: Guard, tokens: TokenFiles):
    """What changes something wants the sign that no form can send, as with the server's token."""
    own = tokens.add("ci", ["*"], None)
    change = {"method": "POST", "path": f"/runs/{ID}/stop", "authorization": f"Bearer {own}"}
    assert refusal(ask(guard, **change)) == (403, "NoIntent")
    assert ask(guard, **change, content_type="application/json").reply is None
