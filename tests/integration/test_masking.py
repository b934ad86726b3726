"""Masked runs: their secrets are in no file of the store, and in nothing that is read of them."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import runcast
from runcast import Store
from runcast.errors import RunExists, RunMasked, UsageError
from runcast.web.api.commands import NamedCommand
from tests.helpers.wait import MS

DEADLINE = 20000 * MS
SECRET = "open-sesame/1+2"
CUT = r"""
import os, sys
secret, fd = sys.stdin.read(), int(sys.argv[1])
for at in range(len(secret) + 1):
    for piece in (f"{at} <", secret[:at], secret[at:], ">\n"):
        os.write(fd, piece.encode())
"""
MASKED_CUT = "".join(f"{at} <***>\n" for at in range(len(SECRET) + 1))


def files_with(store: Store, secret: str = SECRET) -> list[str]:
    """Return the files of a store that have a secret in them, or in their name."""
    found = []
    for folder, _, names in os.walk(store.path):
        for name in names:
            path = Path(folder, name)
            data = path.read_bytes() if path.is_file() else b""
            if secret in str(path) or secret.encode() in data:
                found.append(str(path))
    return found


def test_a_secret_cut_at_every_byte_is_in_no_file(store: Store):
    """On stdout and stderr, whichever way a program cuts its writes, the log has stars."""
    for fd in (1, 2):
        run = store.start([sys.executable, "-c", CUT, str(fd)], input=SECRET, mask=[SECRET])
        assert run.output() == MASKED_CUT
    assert not files_with(store)


def test_a_terminal_keeps_its_width(store: Store):
    """In a terminal there are as many stars as the secret has characters."""
    command = f"printf '%s' '{SECRET[:5]}'; printf '%s\\n' '{SECRET[5:]}'"
    run = store.start(["sh", "-c", command], tty=True, mask=[SECRET])
    assert run.output() == "*" * len(SECRET) + "\r\n"
    assert not files_with(store)


def test_the_record_of_a_command_has_no_secret(store: Store):
    """Arguments, name, folder, variables and the outcome's message are masked."""
    folder = Path(store.path).with_name(SECRET[:11])
    folder.mkdir()
    env = {"SOME": f"x {SECRET}", "API_TOKEN": "tiny", "MY_SECRET": "ab", "PLAIN": "plain"}
    run = store.start(
        ["./missing", SECRET],
        cwd=folder,
        env=env,
        name=f"of {SECRET}",
        mask=[SECRET, SECRET[:11]],
        key=f"k {SECRET}",
    )
    outcome = run.wait(timeout=DEADLINE)

    assert "missing" in outcome.message
    assert run.command == ["./missing", "***"]
    assert run.name == "of ***"
    assert run.request["env"] == {"SOME": "x ***", "API_TOKEN": "***", "MY_SECRET": "***", "PLAIN": "plain"}
    assert run.request["cwd"].endswith("***")
    assert run.request["mask"] == ["***", "***"]
    assert not files_with(store, SECRET[:11])


def test_variables_with_secret_names_are_masked(store: Store, monkeypatch: pytest.MonkeyPatch):
    """With masking on, variables that are given or inherited are chosen by their names."""
    monkeypatch.setenv("MY_DEPLOY_TOKEN", "inherited-one")
    command = ["sh", "-c", "echo $MY_DEPLOY_TOKEN $DB_PASSWORD $OTHER"]
    run = store.start(command, env={"DB_PASSWORD": "given-one", "OTHER": "plain"}, mask=[])
    assert run.output() == "*** *** plain\n"
    assert store.start(command, env={"DB_PASSWORD": "given-one"}).output() == "inherited-one given-one\n"


def shout(secret: str) -> dict[str, str]:
    print("says", secret)
    print("warns", secret, file=sys.stderr)
    runcast.progress(1, 2, f"at {secret}")
    print("::add-mask::another-one")
    return {"returned": secret, "added": "another-one"}


def fail(secret: str) -> None:
    raise ValueError(secret)


def give(secret: str) -> Any:
    yield secret[:4].encode()
    yield secret[4:].encode() + b"\n"
    yield {"value": secret}
    yield secret


@pytest.mark.parametrize("options", [{}, {"process": True}], ids=["thread", "process"])
def test_functions(store: Store, options: dict[str, Any]):
    """Of a function prints, progress, what it returns and how it fails are masked; so are its arguments."""
    run = store.start(shout, SECRET, mask=[SECRET], **options)
    outcome = run.wait(timeout=DEADLINE)
    assert sorted(run.output().splitlines()) == ["::add-mask::***", "says ***", "warns ***"]
    assert outcome.value == {"returned": "***", "added": "***"}
    assert run.progress is not None
    assert run.progress["text"] == "at ***"

    failed = store.start(fail, SECRET, mask=[SECRET], traceback=True, **options)
    outcome = failed.wait(timeout=DEADLINE)
    assert outcome.message == "ValueError: ***"
    assert "ValueError: ***" in outcome.traceback
    assert not files_with(store)
    assert not files_with(store, "another-one")


def test_generators(store: Store):
    """Of a generator all that it yields is masked, on the channel data as well."""
    run = store.start(give, SECRET, mask=[SECRET])
    assert run.output() == '***\n{"value":"***"}\n***\n'
    assert not files_with(store)


def test_recorded_blocks(store: Store):
    """What a recorded block prints is masked as well, and its name."""
    with runcast.attach(f"block {SECRET}", store=store, mask=[SECRET]) as run:
        print("in", SECRET)
        sys.stdout.flush()
    assert (run.name, run.output()) == ("block ***", "in ***\n")
    assert not files_with(store)


def test_what_may_begin_a_secret_is_shown_a_second_later(store: Store):
    """A prompt that looks like the beginning of a secret is seen while the program waits for an answer."""
    run = store.start(
        ["sh", "-c", "printf open; read answer; printf -- -sesame/1+2"], stdin="pipe", mask=[SECRET]
    )
    assert next(iter(run.follow())).data == b"open"
    run.send("\n")
    assert run.output() == "open***"


def test_a_masked_run_is_not_started_again(store: Store):
    """Where the record lacks a secret, or the input, a rerun is refused; else it is masked again."""
    for options in ({"mask": [SECRET]}, {"mask": [], "env": {"A_TOKEN": SECRET}}, {"mask": [], "input": "x"}):
        run = store.start(["true"], **options)
        run.wait(timeout=DEADLINE)
        with pytest.raises(RunMasked, match="give them again"):
            store.rerun(run)
    run = store.start(["sh", "-c", "echo ::add-mask::another-one; echo another-one"], mask=[])
    assert store.rerun(run).output() == run.output() == "::add-mask::***\n***\n"


def test_keys_tell_masked_requests_apart(store: Store):
    """A key is for one request, secrets included, although its record has none."""
    first = store.start(["echo", SECRET], key="k", mask=[SECRET])
    assert store.start(["echo", SECRET], key="k", mask=[SECRET]).id == first.id
    assert store.start(["echo", SECRET], key="k").id == first.id
    for command in (["echo", "another-one"], ["echo", "***"]):
        with pytest.raises(RunExists):
            store.start(command, key="k", mask=["another-one"])
    assert len(first.request["fingerprint"]) == 64
    assert os.stat(f"{store.path}/.mask-key").st_mode & 0o777 == 0o600
    plain = store.start(["echo", "plain"], key="other")
    assert store.start(["echo", "plain"], key="other", mask=[SECRET]).id == plain.id


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (SECRET, "expected mask as a list of texts, got a str: write a list, also of one"),
        ([SECRET, 7], "expected mask as a list of texts, got a list of int and str"),
        ([SECRET.encode()], "expected mask as a list of texts, got a list of bytes"),
        ([SECRET, "abc"], "expected mask with values of at least 4 bytes, got 3 as value 2"),
        ([SECRET * 3000], "expected mask with at most 32768 bytes of values, got 45000"),
    ],
)
def test_what_cannot_be_masked_is_refused(store: Store, mask: Any, message: str):
    """A mask that is wrong is refused before anything is started, and its message has no value."""
    with pytest.raises(UsageError) as raised:
        store.start(["true"], mask=mask)
    assert str(raised.value).startswith(message)
    assert SECRET not in str(raised.value)
    assert not os.path.exists(store.path)


def test_a_named_command_shows_no_secret():
    """What the web may know of a named command is masked as its runs are."""
    command = NamedCommand(
        "deploy", ["deploy", "--to", SECRET, "given-one"], mask=[SECRET], env={"A_TOKEN": "given-one"}
    )
    assert command.to_json()["command"] == ["deploy", "--to", "***", "***"]


def test_logging_of_a_masked_run_has_no_secret(store: Store, caplog: pytest.LogCaptureFixture):
    """What runcast itself logs of a command that is masked has no secret."""
    with caplog.at_level(logging.DEBUG, logger="runcast"):
        store.start([f"./{SECRET}"], name=SECRET, mask=[SECRET]).wait(timeout=DEADLINE)
    assert SECRET not in caplog.text


def test_secret_parameters_are_masked(store: Store):
    """A secret parameter turns masking on by itself, and the run's record has stars in its place."""
    params = {"token": {"type": "secret"}, "word": {}}
    command = NamedCommand("say", ["echo", "{word}", "{token}"], params=params)
    run = command.start(store, {"token": SECRET, "word": "plain"})
    assert run.output() == "plain ***\n"
    assert run.params == {"token": "***", "word": "plain"}
    assert run.command == ["echo", "plain", "***"]
    assert not files_with(store)
    with pytest.raises(RunMasked):
        store.rerun(run)
