"""How a command is started, and what a person reads when it cannot be."""

import os
from pathlib import Path

import pytest

from runcast import Outcome, Reason, State, Store
from tests.helpers.children import PYTHON, run_python
from tests.helpers.wait import MS, wait_until

DEADLINE = 5000 * MS


def script(path: Path, text: str, mode: int = 0o755) -> str:
    """Write a file with these permissions and return its path."""
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def failed(store: Store, command: list[str], **options: object) -> Outcome:
    """Start a command that cannot be started and return how that went."""
    run = store.start(command, **options)
    outcome = run.wait(timeout=DEADLINE)
    assert outcome.reason is Reason.FAILED_TO_START
    assert run.state is State.EXITED
    wait_until(lambda: run.closed)
    assert run.output() == ""
    return outcome


def test_not_found(store: Store):
    """A program that is in no folder of PATH ends with 127 and its name."""
    outcome = failed(store, ["no-such-program"])

    assert outcome.code == 127
    assert outcome.message == "command not found: 'no-such-program' is in no folder of PATH"


def test_not_found_with_arguments(store: Store):
    """A program with its arguments in one item is told how a list is meant."""
    outcome = failed(store, ["echo hello"])

    assert outcome.code == 127
    assert "give the program and each argument as an item of its own" in outcome.message


def test_no_such_file(store: Store, tmp_path: Path):
    """A path without a file ends with 127 and the path."""
    outcome = failed(store, [f"{tmp_path}/nothing"])

    assert outcome.code == 127
    assert outcome.message == f"no such file: '{tmp_path}/nothing'"


def test_not_executable(store: Store, tmp_path: Path):
    """A file that may not be executed ends with 126 and how to cure it."""
    path = script(tmp_path / "script", "#!/bin/sh\n", mode=0o644)

    outcome = failed(store, [path])

    assert outcome.code == 126
    assert outcome.message == f"permission denied: {path!r} is not executable (chmod +x it?)"


def test_not_executable_in_path(store: Store, tmp_path: Path):
    """A file in a folder of PATH that may not be executed is named, unless a later folder has one."""
    path = script(tmp_path / "tool", "#!/bin/sh\n", mode=0o644)
    (tmp_path / "later").mkdir()

    outcome = failed(store, ["tool"], env={"PATH": f"{tmp_path}:{tmp_path}/later"})
    script(tmp_path / "later" / "tool", "#!/bin/sh\necho later\n")
    run = store.start(["tool"], env={"PATH": f"{tmp_path}:{tmp_path}/later:/bin:/usr/bin"})

    assert outcome.code == 126
    assert path in outcome.message
    assert run.output() == "later\n"


def test_directory(store: Store, tmp_path: Path):
    """A folder in place of a program ends with 126 and says that it is one."""
    outcome = failed(store, [str(tmp_path)])

    assert outcome.code == 126
    assert outcome.message == f"{str(tmp_path)!r} is a directory, not a program"


def test_bad_interpreter(store: Store, tmp_path: Path):
    """A script whose interpreter does not exist ends with 127 and says that it is the interpreter."""
    path = script(tmp_path / "script", "#!/no/such/interpreter\n")

    outcome = failed(store, [path])

    assert outcome.code == 127
    assert outcome.message == f"{path!r} names an interpreter (`#!`) that does not exist"


def test_no_format(store: Store, tmp_path: Path):
    """An executable text without `#!` ends with 126 and says what it may lack."""
    path = script(tmp_path / "script", "echo hello\n")

    outcome = failed(store, [path])

    assert outcome.code == 126
    assert "does a script lack its `#!` line?" in outcome.message


def test_no_cwd(store: Store, tmp_path: Path):
    """A folder to run in that does not exist is told as what it is."""
    outcome = failed(store, ["true"], cwd=tmp_path / "nothing")

    assert outcome.message == f"cannot change to cwd '{tmp_path}/nothing': no such directory"


def test_cwd_is_file(store: Store, tmp_path: Path):
    """A file as the folder to run in is told as what it is."""
    outcome = failed(store, ["true"], cwd=script(tmp_path / "file", ""))

    assert outcome.message == f"cannot change to cwd '{tmp_path}/file': not a directory"


def test_too_long(store: Store):
    """Arguments beyond the limit of the system are told as what they are."""
    outcome = failed(store, ["true", "x" * 4_000_000])

    assert outcome.code == 126
    assert "argument list too long" in outcome.message


def test_relative_program(store: Store, tmp_path: Path):
    """A relative program name is looked up in the folder to run in."""
    script(tmp_path / "script", "#!/bin/sh\npwd\n")

    assert store.start(["./script"], cwd=tmp_path).output() == f"{tmp_path}\n"


def test_arguments_arrive(store: Store):
    """Arguments arrive byte for byte, empty ones, line breaks and invalid UTF-8 included."""
    items = ["", " ", "a b", "line\nbreak", "'\"`$(x)", "--", "é\u2028\U0001f600", "\udcff\udc80"]

    run = store.start(["printf", "%s\\0", *items])

    assert run.output(encoding=None) == b"".join(os.fsencode(item) + b"\0" for item in items)


def test_environment(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A command gets this process's environment, what was asked on top, and the names of ours."""
    monkeypatch.setenv("FROM_HERE", "h\udcffre")
    monkeypatch.setenv("BOTH", "here")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)

    run = store.start(
        ["env", "-0"], env={"BOTH": "asked", "RUNCAST_RUN_ID": "forged", "RUNCAST_RUN_DIR": "/forged"}
    )
    seen = dict(item.split(b"=", 1) for item in run.output(encoding=None).split(b"\0") if item)

    assert (
        seen.items()
        >= {
            b"FROM_HERE": b"h\xffre",
            b"BOTH": b"asked",
            b"PYTHONUNBUFFERED": b"1",
            b"RUNCAST_RUN_ID": run.id.encode(),
            b"RUNCAST_RUN_DIR": f"{store.path}/{run.id}".encode(),
        }.items()
    )
    assert len(seen) == len(
        os.environ | {"PYTHONUNBUFFERED": "", "RUNCAST_RUN_ID": "", "RUNCAST_RUN_DIR": ""}
    )


def test_unbuffered_can_be_asked_otherwise(store: Store):
    """Who sets PYTHONUNBUFFERED gets what was set."""
    assert store.start(["printenv", "PYTHONUNBUFFERED"], env={"PYTHONUNBUFFERED": ""}).output() == "\n"


def test_python_is_unbuffered(store: Store):
    """What a Python program prints is there before it ends, on a pipe as well."""
    run = store.start([*PYTHON[:1], "-c", "print('there'); input()"], stdin="pipe")

    assert next(run.lines()) == "there"
    run.send("", eof=True)
    run.wait(timeout=DEADLINE)


def test_own_session(store: Store):
    """A command leads a session and a process group of its own."""
    run = store.start([*PYTHON, "import os; print(os.getpid(), os.getsid(0), os.getpgid(0))"])

    assert run.output().split() == [str(run.pid)] * 3


def test_no_descriptors_more(store: Store):
    """A command inherits stdin, stdout and stderr, and no other descriptor."""
    code = "import os; print(*[fd for fd in range(256) if os.path.exists(f'/proc/self/fd/{fd}')])"

    assert store.start([*PYTHON, code], stdin="pipe").output() == "0 1 2\n"


def test_default_signals(store: Store):
    """A command has default signals and blocks none, whatever whoever started the first run ignores."""
    said = run_python(
        """
        import signal, sys
        from runcast import Store

        for number in (signal.SIGQUIT, signal.SIGUSR1, signal.SIGINT, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
        print(Store(sys.argv[1]).start(["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"]).output())
        """,
        store.path,
    )

    internal = 1 << 31 | 1 << 32  # signals 32 and 33 are glibc's own: posix_spawn(3) ignores them
    assert [int(line.split()[1], 16) & ~internal for line in said.splitlines() if line] == [0, 0]


def test_stdin_is_empty(store: Store):
    """A command that reads its stdin finds the end at once, unless something was asked."""
    run = store.start(["sh", "-c", "cat; readlink /proc/self/fd/0"])

    assert run.output() == "/dev/null\n"
