"""Rights: which words there are, and what each covers."""

import pytest

from runcast.errors import UsageError
from runcast.rights import VERBS, Rights


@pytest.mark.parametrize(
    ("words", "covered", "not_covered"),
    [
        (["*"], [(verb, name) for verb in VERBS for name in (None, "backup")], []),
        (["start"], [("start", "backup"), ("start", None)], [("rerun", "backup"), ("list", None)]),
        (
            ["start:backup"],
            [("start", "backup")],
            [("start", None), ("start", "backup2"), ("start", "Backup"), ("start", ""), ("stop", "backup")],
        ),
        (["start:*"], [("start", "backup"), ("start", "")], [("start", None)]),
        (
            ["append:builds/*"],
            [("append", "builds/1"), ("append", "builds/a/b"), ("append", "builds/")],
            [("append", "builds"), ("append", "x/builds/1"), ("create", "builds/1"), ("append", None)],
        ),
        (
            ["read:a*c*e"],
            [("read", "ace"), ("read", "abcde"), ("read", "a\nc\ne")],
            [("read", "ae"), ("read", "acef")],
        ),
        (["read:[a-z]+"], [("read", "[a-z]+")], [("read", "abc")]),
        (["*:backup"], [("stop", "backup"), ("read", "backup")], [("list", None), ("stop", "deploy")]),
        (["read"], [("read", "x"), ("list", None)], [("traceback", "x"), ("metrics", None), ("stop", "x")]),
        (["read:x"], [("read", "x")], [("list", None)]),
        (["read", "stop:x"], [("read", "y"), ("stop", "x")], [("stop", "y")]),
        ([], [], [("read", "x"), ("list", None)]),
    ],
    ids=lambda value: None,
)
def test_rights(
    words: list[str], covered: list[tuple[str, str | None]], not_covered: list[tuple[str, str | None]]
):
    """A word covers its verb, for its names alone if it has one, whole and in their very letters."""
    rights = Rights(words)
    assert [one for one in covered if not rights.allow(*one)] == []
    assert [one for one in not_covered if rights.allow(*one)] == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "expected list, read"),
        ("star", "got 'star': did you mean start?"),
        ("START", "got 'START'"),
        (" start", "got ' start': did you mean start?"),
        ("start:", "expected a name behind start"),
        ("start:a\nb", "expected a name behind start"),
        ("start:" + "a" * 200, "up to 200 characters"),
        (":backup", "alone or with :NAME, got ':backup'"),
        ("**", "got '**'"),
        ("read,start:backup", "got 'read,start:backup': give each right by itself"),
        ("start:backup,deploy", "one command behind start:, got 'backup,deploy': give each by itself"),
    ],
)
def test_what_is_no_right(word: str, said: str):
    """What is no right is refused, with what was expected."""
    with pytest.raises(UsageError) as error:
        Rights(["read", word])
    assert said in str(error.value)


def test_words():
    """As a text they are what was given."""
    assert str(Rights(["read", "start:backup"])) == "read, start:backup"
    assert str(Rights([])) == "nothing"
