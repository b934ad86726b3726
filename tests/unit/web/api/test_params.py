"""Parameters of named commands: what may be declared, which values fit, and where they stand."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import UsageError
from runcast.web.api.commands import NamedCommand, named_commands
from runcast.web.api.params import Param, Params

DEPLOY: dict[str, Any] = {
    "target": {"type": "choice", "choices": ["staging", "production"]},
    "count": {"type": "int", "min": 1, "max": 9, "default": 2, "option": "-n"},
    "force": {"type": "flag", "option": "--force"},
    "note": {"pattern": "[a-z ]+", "required": False, "option": "--note"},
}
COMMAND = ["deploy", "{force}", "{count}", "{note}", "to", "{target}"]
# What people type into forms, or attackers send: to a shell, to an option parser, to a page, to a format.
PAYLOADS = [
    *(
        "",
        " ",
        "a",
        "a b",
        "é",
        "日本",
        "🙂",
        "'",
        '"',
        "\\",
        "`id`",
        "$(id)",
        "$HOME",
        "${IFS}",
        "~",
        "*",
        "?",
    ),
    *(
        "[a]",
        "{a,b}",
        "a;b",
        "a|b",
        "a&b",
        "a&&b",
        "a||b",
        ">x",
        "<x",
        "2>&1",
        "#x",
        "!x",
        "%s",
        "%00",
        "{0}",
    ),
    *(
        "{target}",
        "{force}",
        "{{target}}",
        "-",
        "--",
        "-n",
        "--force",
        "--note=x",
        "-rf",
        "--help",
        "-1",
        "+1",
    ),
    *("1e3", "0x10", "1.5", "01", "٣", "true", "false", "null", "None", "yes", "../x", "/etc/passwd", "//x"),
    *("a\nb", "a\rb", "\ta", "a\0b", "\x1b[31m", "\x07", "\x7f", "\x9b", "a\u2028b", "\u202eab", "\ufeffa"),
    *("<script>", "</script>", "javascript:x", "&lt;", "a=b", "=a", "a:b", "@x", "x" * 4096, "x" * 4097),
]


def params(tables: dict[str, Any] = DEPLOY, command: object = COMMAND) -> Params:
    return Params(command, tables, shell=False)


def placed(values: dict[str, object], **more: Any) -> list[str]:
    made = params(**more)
    return made.place(made.read(values))


def test_places():
    """A value stands where its `{P}` stood; what has none leaves no trace."""
    assert placed({"target": "staging"}) == ["deploy", "-n", "2", "to", "staging"]
    assert placed({"target": "staging", "force": True, "count": "9", "note": "it is late"}) == [
        *("deploy", "--force", "-n", "9", "--note=it is late", "to", "staging")
    ]
    assert placed({"target": "staging", "force": False, "count": None}) == placed({"target": "staging"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "expected the parameter target, got none"),
        (
            {"target": "stagin"},
            "expected target as staging or production, got 'stagin': did you mean staging?",
        ),
        ({"target": ["staging"]}, "expected target as staging or production, got ['staging']"),
        ({"target": "staging", "count": 0}, "expected count as a whole number from 1 to 9, got 0"),
        ({"target": "staging", "count": "ten"}, "expected count as a whole number from 1 to 9, got 'ten'"),
        ({"target": "staging", "count": True}, "expected count as a whole number from 1 to 9, got True"),
        ({"target": "staging", "count": 1.0}, "expected count as a whole number from 1 to 9, got 1.0"),
        ({"target": "staging", "force": "on"}, "expected force as true or false, got 'on'"),
        ({"target": "staging", "note": "A"}, "expected note as a text that matches [a-z ]+, got 'A'"),
        ({"target": "staging", "note": 3}, "expected note as a text, got 3"),
        (
            {"target": "staging", "nope": 1},
            "expected as a parameter one of target, count, force, note, got 'nope'",
        ),
    ],
)
def test_values_that_do_not_fit(values: dict[str, object], said: str):
    """Each says what was expected and what came."""
    with pytest.raises(UsageError, match=re.escape(said)):
        placed(values)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"type": "txt"}, "expected type as text, int, choice, flag, secret, file, got 'txt'"),
        ({"typ": "int"}, "got 'typ': did you mean type?"),
        ("int", "expected a table with type"),
        ({"type": "choice"}, "expected choices as a list of texts"),
        ({"type": "choice", "choices": [1]}, "expected choices as a list of texts, got [1]"),
        ({"type": "flag"}, 'expected option with a flag, such as "--force", got none'),
        ({"option": "force"}, "expected option as"),
        ({"option": "--a b"}, "expected option as"),
        ({"type": "int", "pattern": "1"}, "expected pattern with type text or secret, got it with int"),
        ({"type": "secret", "default": "x"}, "expected no default with a secret"),
        ({"min": 3, "max": 2}, "expected min to be at most max, got 3 and 2"),
        ({"min": "3"}, "expected min as a whole number, got '3'"),
        ({"min": True}, "expected min as a whole number, got True"),
        ({"pattern": "("}, "expected pattern as a regular expression, got '('"),
        ({"default": "a", "required": True}, "expected required or a default, got both"),
        ({"type": "int", "default": "x"}, "the default: expected target as a whole number, got 'x'"),
    ],
)
def test_declarations_without_a_meaning(table: object, said: str):
    """Each is refused when the command is declared, with its name."""
    with pytest.raises(UsageError, match=re.escape(said)) as error:
        params({"target": table}, ["deploy", "{target}"])
    assert str(error.value).startswith("params.target: ")


@pytest.mark.parametrize(
    ("command", "shell", "said"),
    [
        (["deploy"], False, 'expected "{target}" as an item of command'),
        (
            ["deploy", "--to={target}"],
            False,
            'expected "{target}" as an item of command, the place of the parameter target, '
            "got it inside '--to={target}': what stands before a value is its option",
        ),
        (["deploy", "{target}", "{other}"], False, "expected a parameter of the name in"),
        (["{target}"], False, "expected a program first in command"),
        ("deploy {target}", False, "expected command as a list of arguments"),
        (["deploy {target}"], True, "expected command as a list of arguments"),
    ],
)
def test_places_without_a_meaning(command: object, shell: bool, said: str):
    """A parameter is one whole argument of a command that no shell reads."""
    with pytest.raises(UsageError, match=re.escape(said)):
        Params(command, {"target": {}}, shell=shell)


def test_braces_without_parameters():
    """A command without parameters may have braces in it."""
    assert not Params(["echo", "{target}"], {}, shell=False)


@pytest.mark.parametrize(
    ("table", "command", "takes"),
    [
        ({}, ["x", "{v}"], False),
        ({}, ["x", "--", "{v}"], True),
        ({"option": "--to"}, ["x", "{v}"], True),
        ({"option": "-t"}, ["x", "{v}"], True),
        ({"type": "choice", "choices": ["-n"]}, ["x", "{v}"], True),
    ],
)
def test_leading_dash(table: dict[str, Any], command: list[str], takes: bool):
    """What a program could take for an option is refused, unless it stands where there are none."""
    if takes:
        assert placed({"v": "-n"}, tables={"v": table}, command=command)[-1].endswith("-n")
    else:
        with pytest.raises(UsageError, match="expected v without - in front"):
            placed({"v": "-n"}, tables={"v": table}, command=command)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"option": "--v"},
        {"option": "-v"},
        {"type": "int"},
        {"type": "flag", "option": "-v"},
        {"type": "choice", "choices": ["a"]},
    ],
    ids=str,
)
def test_payloads(table: dict[str, Any]):
    """Whatever is sent is refused, or is one argument, or the part of one behind its option."""
    option = str(table.get("option", ""))
    for payload in PAYLOADS:
        try:
            found = placed({"v": payload}, tables={"v": table}, command=["x", "{v}", "y"])
        except UsageError:
            continue
        assert (found[0], found[-1]) == ("x", "y")
        if table.get("type") == "flag":
            assert found[1:-1] in ([], [option])
        elif option.startswith("--"):
            assert found[1:-1] == [f"{option}={payload}"]
        else:
            assert found[1:-1] == ([option] if option else []) + [
                str(int(payload)) if "int" in str(table) else payload
            ]
            assert option or not payload.startswith("-") or payload[1:].isdigit()


@given(st.text(max_size=30))
def test_one_argument(value: str):
    """A text that fits reaches the program as it was given."""
    try:
        found = placed({"v": value}, tables={"v": {}}, command=["x", "--", "{v}"])
    except UsageError:
        assert any(ord(one) < 32 or 127 <= ord(one) < 160 or 0xD800 <= ord(one) < 0xE000 for one in value)
    else:
        assert found == ["x", "--", value]


def test_described():
    """A form learns all that it needs, and not how the command line is made."""
    command = NamedCommand("deploy", COMMAND, params=DEPLOY)

    assert command.to_json()["params"] == {
        "target": {
            "type": "choice",
            "title": "target",
            "choices": ["staging", "production"],
            "required": True,
        },
        "count": {"type": "int", "title": "count", "default": 2, "min": 1, "max": 9, "required": False},
        "force": {"type": "flag", "title": "force", "required": False},
        "note": {"type": "text", "title": "note", "pattern": "[a-z ]+", "required": False},
    }
    assert command.named("other").params == command.params
    assert named_commands({"deploy": {"command": COMMAND, "params": DEPLOY}})["deploy"] == command
    assert Param.declared("a", {}).required


@pytest.mark.parametrize("value", ["hunter2\n", "-hunter2", 22222, ["hunter2"], "HUNTER2"])
def test_secret_that_does_not_fit(value: object):
    """An error about a secret does not have it."""
    with pytest.raises(UsageError) as error:
        placed({"v": value}, tables={"v": {"type": "secret", "pattern": "-?[a-z0-9]+"}}, command=["x", "{v}"])
    assert "hunter2" not in str(error.value).lower()
    assert "22222" not in str(error.value)
