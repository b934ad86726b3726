"""Scoped tokens: what is on the disk, who finds them, and how they end."""

import json
import os
import stat
import time
from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.store.scoped_tokens import TokenFiles, is_scoped


@pytest.fixture(name="tokens")
def tokens_fixture(tmp_path: Path) -> TokenFiles:
    """The tokens of a store that is not there yet."""
    return TokenFiles(str(tmp_path / "store"))


def file_of(tmp_path: Path, name: str = "ci") -> Path:
    """Return the file of a token."""
    return tmp_path / "store" / ".tokens" / f"{name}.json"


def test_made_and_found(tokens: TokenFiles, tmp_path: Path):
    """A token has its name and 256 random bits; it is found by nothing but itself, with what it may do."""
    token = tokens.add("ci", ["start:backup"], None)

    found = tokens.find(token)
    assert found is not None
    assert (found.name, found.rights.words, found.expires_at, found.expired) == (
        "ci",
        ("start:backup",),
        None,
        False,
    )
    assert is_scoped(token)
    assert token.startswith("runcast.ci.")
    assert len(token) == len("runcast.ci.") + 43
    other = "A" if token[-1] != "A" else "B"
    for wrong in (
        "",
        "x",
        token[:-1],
        token + "A",
        token[:-1] + other,
        token.upper(),
        token.replace(".ci.", ".cx."),
    ):
        assert tokens.find(wrong) is None
    assert tokens.find("runcast.../../x." + "A" * 43) is None


def test_on_disk(tokens: TokenFiles, tmp_path: Path):
    """The file is for its user alone, and has a hash in place of the token."""
    token = tokens.add("ci", ["read"], None)

    path = file_of(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["ci.json"]
    everything = b"".join(one.read_bytes() for one in (tmp_path / "store").rglob("*") if one.is_file())
    assert token.rpartition(".")[2].encode() not in everything


def test_expired(tokens: TokenFiles):
    """A token is found after its time, too, so that its sender can be told."""
    token = tokens.add("ci", ["read"], time.time() - 1)

    found = tokens.find(token)
    assert found is not None
    assert found.expired


def test_revoked(tokens: TokenFiles):
    """A revoked token is nobody's, at once; its name is free for another, with another secret."""
    first = tokens.add("ci", ["read"], None)
    tokens.revoke("ci")
    assert tokens.find(first) is None
    assert tokens.named("ci") is None

    second = tokens.add("ci", ["read"], None)
    assert second != first
    assert tokens.find(first) is None
    assert tokens.find(second) is not None


@pytest.mark.parametrize(
    ("name", "may", "said"),
    [
        ("", ["read"], "expected the name of a token"),
        ("../x", ["read"], "expected the name of a token"),
        ("a.b", ["read"], "expected the name of a token"),
        ("a" * 65, ["read"], "expected the name of a token"),
        ("-x", ["read"], "expected the name of a token"),
        ("ok", [], "got nothing: --may start:backup"),
        ("ok", ["star"], "did you mean start?"),
        ("ci", ["read"], "'ci' is taken"),
    ],
)
def test_what_cannot_be_made(tokens: TokenFiles, name: str, may: list[str], said: str):
    """A name that is none or taken, and rights that are none, make no token."""
    tokens.add("ci", ["start"], None)
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        tokens.add(name, may, None)
    assert [(one.name, one.rights.words) for one in tokens.list()] == [("ci", ("start",))]


def test_no_such_token(tokens: TokenFiles):
    """To revoke what is not there names those that are."""
    with pytest.raises(UsageError, match="there are none"):
        tokens.revoke("ci")
    tokens.add("ci", ["read"], None)
    for name in ("x", "../../x", "ci.json"):
        with pytest.raises(UsageError, match=r"expected the name of a token \(ci\), got"):
            tokens.revoke(name)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "x"},
        {"sha256": None},
        {"name": "other"},
        {"may": "read"},
        {"may": ["nothing"]},
        {"may": [1]},
        {"expires_at": "soon"},
        {"created_at": True},
        None,
    ],
)
def test_damaged(tokens: TokenFiles, tmp_path: Path, changes: dict[str, object] | None):
    """A file that is not what it should be lets nobody in, and hides no other."""
    token = tokens.add("ci", ["read"], None)
    tokens.add("other", ["read"], None)
    path = file_of(tmp_path)
    value = "{" if changes is None else json.dumps(json.loads(path.read_text()) | changes)
    path.write_text(value)

    assert tokens.find(token) is None
    assert [one.name for one in tokens.list()] == ["other"]


def test_file_without_an_end(tokens: TokenFiles, tmp_path: Path):
    """Where the end of a token is missing it is not taken for one that never ends."""
    token = tokens.add("ci", ["read"], time.time() + 60)
    path = file_of(tmp_path)
    value = json.loads(path.read_text())
    del value["expires_at"]
    path.write_text(json.dumps(value))

    assert tokens.find(token) is None


def test_link(tokens: TokenFiles, tmp_path: Path):
    """A link in place of a file is not followed."""
    token = tokens.add("ci", ["read"], None)
    path = file_of(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    assert tokens.find(token) is None
