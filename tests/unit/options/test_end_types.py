"""What `on_end` takes, and what it refuses, without showing what may be a secret."""

from typing import Any

import pytest

from runcast.errors import UsageError
from runcast.options.end_types import ON_END

URL = "https://chat.example/T0ps3cret"


def test_usual_form():
    """Each hook comes out with all of its keys, times in seconds, and conditions as a list."""
    assert ON_END.read("on_end", [{"command": ("a", "b")}]) == [
        {"command": ["a", "b"], "when": ["always"], "timeout": 60.0}
    ]
    hook = {"webhook": URL, "secret": "s" * 16, "when": ["failure", {"longer_than": "10m"}], "timeout": "2s"}
    assert ON_END.read("on_end", [hook]) == [
        hook | {"when": ["failure", {"longer_than": 600.0}], "timeout": 2.0}
    ]
    assert ON_END.read("on_end", None) is ON_END.read("on_end", []) is None


def test_again():
    """What `run.json` has is read as the same: a rerun has it from there."""
    kept = ON_END.read("on_end", [{"webhook": URL, "when": {"longer_than": 1}}, {"command": ["a"]}])

    assert ON_END.is_kept(kept)
    assert ON_END.read("on_end", kept) == kept


def test_secret_in_a_variable(monkeypatch: pytest.MonkeyPatch):
    """A secret may be that of a variable of the process that starts the run."""
    monkeypatch.setenv("CI_SECRET", "0123456789abcdef")

    assert (
        ON_END.read("on_end", [{"webhook": URL, "secret_env": "CI_SECRET"}])[0]["secret"]
        == "0123456789abcdef"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("./notify", "as a list of"),
        ({"command": ["a"]}, "got a dict"),
        ([["a"]], r"expected on_end\[0\] as"),
        ([{}], "command or webhook, got none"),
        ([{"command": ["a"], "webhook": URL}], "got both"),
        ([{"commando": ["a"]}], "got 'commando': did you mean command"),
        ([{"command": "a b"}], "list of texts, program first, got a str"),
        ([{"command": []}], "an empty one"),
        ([{"command": ["a\0"]}], "list of texts"),
        ([{"command": ["a"], "secret": "x" * 16}], "only a webhook is signed"),
        ([{"webhook": "ftp://host/T0ps3cret"}], "got another URL"),
        ([{"webhook": "https:///T0ps3cret"}], "got another URL"),
        ([{"webhook": "https://host:99999/T0ps3cret"}], "got another URL"),
        ([{"webhook": "https://host/T0ps3cret\r\nX: y"}], "printable ASCII"),
        ([{"webhook": "https://me:T0ps3cret@host/"}], "without a user"),
        ([{"webhook": 3}], "got a int"),
        ([{"webhook": URL, "secret": "T0ps3cret"}], "at least 16 bytes, got 9"),
        ([{"webhook": URL, "secret": 3}], "as a text, got a int"),
        ([{"webhook": URL, "secret_env": "NO_SUCH_VARIABLE"}], "variable that is set, got 'NO_SUCH"),
        ([{"webhook": URL, "secret": "x" * 16, "secret_env": "PATH"}], "got both"),
        ([{"command": ["a"], "when": "failures"}], "did you mean failure"),
        ([{"command": ["a"], "when": []}], "an empty list"),
        ([{"command": ["a"], "when": {"longer_than": "soon"}}], "longer_than"),
        ([{"command": ["a"], "when": {"longer": 5}}], "expected on_end"),
        ([{"command": ["a"], "timeout": "2h"}], "at most 3600"),
        ([{"command": ["a"], "timeout": True}], "got True"),
        ([{"command": ["a"]}] * 17, "at most 16 in on_end, got 17"),
    ],
)
def test_refused(value: Any, expected: str):
    """A message says what was expected and what came, and has neither the secret nor the path of a URL."""
    with pytest.raises(UsageError, match=expected) as caught:
        ON_END.read("on_end", value)

    assert "T0ps3cret" not in str(caught.value)


@pytest.mark.parametrize("value", [None, "a", [3], [{}], [{"when": "x"}], [{"when": [], "webhook": 3}]])
def test_not_kept(value: object):
    """A `run.json` with something else is damaged."""
    assert not ON_END.is_kept(value)
