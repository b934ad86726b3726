"""Commands: what is split, and what is refused because only a shell would understand it."""

import shlex
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import CommandRefused, UsageError
from runcast.sources.command import current_folder, environment, to_argv
from tests.unit.texts import texts

WORDS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1
).filter(lambda words: words[0] != "")

FORCED = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TTY_INTERACTIVE": "0"}


@given(WORDS)
def test_lists_are_taken_as_they_are(argv: list[str]):
    """The items of a list arrive as they are, whatever is in them."""
    assert to_argv(argv) == argv
    assert to_argv(tuple(argv)) == argv


@given(WORDS)
def test_quoted_words_come_back(argv: list[str]):
    """A string of quoted words is never refused, and splits into those words."""
    assert to_argv(shlex.join(argv)) == argv


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("ls -l", ["ls", "-l"]),
        ("  ls\t-l  ", ["ls", "-l"]),
        ("echo 'a && b'", ["echo", "a && b"]),
        ('echo "a | b; c > d"', ["echo", "a | b; c > d"]),
        (r"echo a\;b \$HOME", ["echo", "a;b", "$HOME"]),
        ("echo 'it''s'", ["echo", "its"]),
        ("""echo "it's" fine""", ["echo", "it's", "fine"]),
        ("grep -E 'a|b$' file", ["grep", "-E", "a|b$", "file"]),
        ("echo 50% a#b", ["echo", "50%", "a#b"]),
        ("echo *.py ~ a=b {1,2}", ["echo", "*.py", "~", "a=b", "{1,2}"]),
        ("find . -name x -exec rm {} +", ["find", ".", "-name", "x", "-exec", "rm", "{}", "+"]),
        ("echo $ 5$ a$.", ["echo", "$", "5$", "a$."]),
    ],
)
def test_strings_are_split(command: str, argv: list[str]):
    """A string is split as a shell splits words; quoted, syntax is text."""
    assert to_argv(command) == argv


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("make && make install", "&&"),
        ("a || b", "||"),
        ("ps aux | grep x", "|"),
        ("cd /tmp; ls", ";"),
        ("ls > out", ">"),
        ("ls >> out", ">>"),
        ("ls 2>&1", "2>&1"),
        ("sort < in", "<"),
        ("cat <<EOF", "<<"),
        ("sleep 1 &", "&"),
        ("echo $(date)", "$("),
        ("echo ${HOME}", "${"),
        ("echo $HOME", "$HOME"),
        ('echo "$HOME"', "$HOME"),
        ('echo "`date`"', "`"),
        ("echo `date`", "`"),
        ("ls\nrm x", "a line break"),
        ("""echo "it's" | cat""", "|"),
        ("""echo 'a"' | cat""", "|"),
        (r"echo \\; ls", ";"),
    ],
)
def test_shell_syntax_is_refused(command: str, found: str):
    """What a shell would act upon is refused by its name, with both ways out."""
    with pytest.raises(CommandRefused) as refused:
        to_argv(command)

    text = str(refused.value)
    assert f"got {found!r} in " in text
    assert "shell=True" in text
    assert '["bash", "-c", ' in text


@given(texts())
def test_shell_gets_the_string(command: str):
    """With a shell, the string is the shell's, untouched."""
    assert to_argv(command, shell=True) == ["/bin/sh", "-c", command]


def test_paths():
    """A path is a program without arguments, and items may be paths, too."""
    assert to_argv(PurePosixPath("/bin/a b")) == ["/bin/a b"]
    assert to_argv(["cat", PurePosixPath("a b")]) == ["cat", "a b"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "expected a command, got an empty string"),
        ("   ", "expected a command, got an empty string"),
        ("''", "expected a command, got an empty string"),
        ("echo 'a", "expected a command that splits into words, got .*: no closing quotation"),
        ([], "expected a list of at least one string"),
        ([""], "expected the name of a program as the first item"),
        (["sleep", 1], r"expected a command .*, got \['sleep', 1\]: numbers and the like need str"),
        ([b"ls"], r"expected a list of strings, got \[b'ls'\]: bytes need os.fsdecode\(\)"),
        (["a\0b"], "expected arguments without a NUL byte"),
        (5, "expected a command .*, got 5"),
        (None, "expected a command .*, got None"),
    ],
)
def test_what_is_no_command(command: object, said: str):
    """Anything else is refused in a sentence that says what came."""
    with pytest.raises(UsageError, match=said):
        to_argv(command)


def test_list_for_a_shell():
    """A list and a shell do not go together: the message has the string to write instead."""
    with pytest.raises(
        UsageError, match=r"expected a string with shell=True, got a list: write .echo 'a b'."
    ):
        to_argv(["echo", "a b"], shell=True)


def test_removed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the current folder was removed, that is said, and what to do."""
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()

    with pytest.raises(UsageError, match="expected a current folder, it was removed: go to another"):
        current_folder()


@pytest.mark.parametrize(
    ("color", "inherited", "given", "expected"),
    [
        (None, {"FORCE_COLOR": "0", "NO_COLOR": "1"}, {}, {"FORCE_COLOR": "0", "NO_COLOR": "1"}),
        (True, {}, {}, {**FORCED, "TERM": "xterm-256color"}),
        (True, {"NO_COLOR": "1", "TERM": "dumb"}, {}, {**FORCED, "TERM": "xterm-256color"}),
        (True, {"TERM": "linux", "FORCE_COLOR": "0"}, {}, {**FORCED, "TERM": "linux"}),
        (True, {}, {"FORCE_COLOR": "3", "TERM": "dumb"}, {**FORCED, "FORCE_COLOR": "3", "TERM": "dumb"}),
        (False, {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "x"}, {}, {"NO_COLOR": "1", "TERM": "x"}),
        (False, {}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}),
    ],
)
def test_colors_by_the_environment(
    color: bool | None,
    inherited: dict[str, str],
    given: dict[str, str],
    expected: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Colors are asked for by the usual variables without the opposite ones; the caller's own come first."""
    for name in (*FORCED, "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    made = environment(given, "id", color)

    assert {name: made[name] for name in (*FORCED, "NO_COLOR", "TERM") if name in made} == expected


@pytest.mark.parametrize(
    ("inherited", "given", "expected"),
    [
        (None, {}, "1"),
        ("", {}, "1"),
        ("0", {}, "1"),
        ("x", {}, "x"),
        ("0", {"PYTHONUNBUFFERED": ""}, ""),
        (None, {"PYTHONUNBUFFERED": "0"}, "0"),
    ],
)
def test_python_is_unbuffered(
    inherited: str | None, given: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
):
    """What Python takes for off counts as unset where it is inherited; what the caller gives comes first."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if inherited is not None:
        monkeypatch.setenv("PYTHONUNBUFFERED", inherited)

    assert environment(given, "id")["PYTHONUNBUFFERED"] == expected


def test_environment_of_a_terminal(monkeypatch: pytest.MonkeyPatch):
    """A run's own terminal is described, not that of the caller, and no pager waits for a key."""
    for name, value in {"TERM": "dumb", "COLUMNS": "200", "LINES": "5", "PAGER": "less"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GH_PAGER", "less")
    monkeypatch.delenv("AWS_PAGER", raising=False)

    found = environment({"MANPAGER": "less -R"}, "id", tty=True)

    assert found["TERM"] == "xterm-256color"
    assert found.keys().isdisjoint({"COLUMNS", "LINES", "TERMCAP", "AWS_PAGER"})
    assert found["CARGO_TERM_PROGRESS_TERM_INTEGRATION"] == "true"
    assert [found[name] for name in ("PAGER", "GIT_PAGER", "GH_PAGER")] == ["cat", "cat", "cat"]
    assert found["MANPAGER"] == "less -R"
    assert environment({}, "id")["TERM"] == "dumb"
