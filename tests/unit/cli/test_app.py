"""Help, and what is said of arguments that are wrong."""

import itertools
from collections.abc import Iterator

import click
import pytest

from runcast.cli.app import HERE, VERBS, app
from tests.helpers.cli import Call

NO_VERB = f"expected a verb ({', '.join(VERBS)}), got "


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(call: Call, option: str):
    """The help names every verb and shows examples."""
    done = call(option)

    assert (done.code, done.err) == (0, "")
    text = done.out.decode()
    assert "Examples:\n    runcast run -- make -j4" in text
    assert [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines()] == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(call: Call, verb: str):
    """Each verb explains itself with an example, and has the short help of the list."""
    done = call(verb, "-h")

    assert (done.code, done.err) == (0, "")
    text = done.out.decode()
    assert f"\n    runcast {verb}" in text.partition("Example")[2]
    assert call(verb, "--help").out == done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["frobnicate"],
            f"{NO_VERB}'frobnicate' (see `runcast --help`)",
        ),
        (["fllow", "last"], f"{NO_VERB}'fllow': did you mean `runcast follow`? (see"),
        (["ps"], f"{NO_VERB}'ps': did you mean `runcast ls`? (see"),
        (
            ["token", "list", "--store", "x"],
            "expected --store before the verb, got it behind: `runcast --store DIR|URL token list …` (see",
        ),
        (
            ["token", "list", "--server", "x"],
            "expected no --server, `runcast token list` is for the machine that it runs on: log in there",
        ),
        (
            ["ls\x1b[31m"],
            NO_VERB + r"'ls\x1b[31m' (see `runcast --help`)",
        ),
        (["--frobnicate"], "no such option"),  # click goes on in one way or another
        (["log"], "expected ID or --key, got neither (see `runcast log --help`)"),
        (["log", "a", "b"], "got unexpected extra argument"),
        (["ls", "-n", "x"], "--limit: expected a whole number of 0 or more, got 'x' (see"),
        (["serve", "--port", "99999"], "--port: expected a whole number from 0 to 65535, got '99999' (see"),
        (["--store"], "option '--store' requires an argument"),
    ],
)
def test_usage_errors(call: Call, arguments: list[str], said: str):
    """What is wrong with the arguments is said in one line that names the help."""
    done = call(*arguments)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"runcast: {said}")
    assert done.err.endswith(" --help`)\n")
    assert done.err.count("\n") == 1


def test_a_group_without_a_verb(call: Call):
    """`runcast token` alone shows its help as it is printed by --help, and that is an error."""
    done = call("token")

    assert (done.code, done.out) == (2, b"")
    assert done.err == call("token", "--help").out.decode()


def _behind() -> Iterator[tuple[str, str, str]]:
    """Yield each verb with each option of the program that it does not have itself, and what that takes."""
    for verb, option in itertools.product(VERBS, app.params):
        command = app.get_command(click.Context(app), verb)
        assert command is not None
        own = {name for one in command.params for name in one.opts}
        for name in set(option.opts) - own - {"-h", "--help"}:
            if name != "--server" or verb not in HERE:
                yield verb, name, option.metavar or ""


@pytest.mark.parametrize(("verb", "option", "value"), sorted(_behind()))
def test_option_behind_the_verb(call: Call, verb: str, option: str, value: str):
    """An option of the program behind a verb is refused, with the place where it belongs."""
    given = [f"{option}=x"] if value else [option]

    said = call(verb, *given, "word").err

    shown = f"{option} {value}".rstrip()
    assert said == (
        f"runcast: expected {option} before the verb, got it behind: `runcast {shown} {verb} …` "
        f"(see `runcast {verb} --help`)\n"
    )
