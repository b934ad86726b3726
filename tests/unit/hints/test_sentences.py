"""The hint for a run that is silent, by what its processes are."""

import pytest

from runcast.hints.sentences import hint
from runcast.sysio.processes import OTHER, PIPE, TERMINAL, Process

UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
STDBUF = {"_STDBUF_O": "L", "LD_PRELOAD": "/usr/libexec/coreutils/libstdbuf.so"}
ALL = "start the run with line_buffered (--line-buffered)"


def process(
    *argv: str,
    program: str = "",
    env: dict[str, str] | None = UNBUFFERED,
    output: str | None = PIPE,
    parent: bool = False,
    pid: int = 1,
) -> Process:
    return Process(pid, program or argv[0].rpartition("/")[2], argv, env, output, parent)


def hint_for(*processes: Process, first: int = 1, empty: bool = False) -> str | None:
    return hint(processes, first=first, empty=empty)


SHELL = process("sh", "-c", "…", parent=True)


@pytest.mark.parametrize(
    ("argv", "program", "expected"),
    [
        (
            ["grep", "x"],
            "",
            f"grep holds its lines back while the output is a pipe: grep --line-buffered; or {ALL}",
        ),
        (["egrep", "x"], "grep", "grep holds its lines back"),
        (["/bin/sed", "s/-u/x/"], "", "sed -u; or"),
        (["tr", "a", "b"], "", "tr holds its lines back while the output is a pipe: stdbuf -oL tr"),
        (["nl"], "", "nl holds its lines back while the output is a pipe: stdbuf -oL nl"),
        (["jq", "."], "", "jq --unbuffered"),
        (["rg", "x"], "", "rg --line-buffered; or start the run with tty="),
        (["awk", "{print}"], "mawk", "mawk -W interactive"),
        (["awk", "{print}"], "gawk", "fflush()"),
        (["sed", "p"], "busybox", "it has no switch"),
        (["busybox", "sed", "p"], "busybox", "it has no switch"),
        (["make", "-j4", "-O"], "", "leave -O out"),
        (["make", "-Otarget"], "", "leave -O out"),
        (["gmake", "--output-sync=line"], "", "leave -O out"),
        (["make", "-kO"], "", "leave -O out"),
        (["make", "-skOline"], "", "leave -O out"),
        (["ninja"], "", "pool = console"),
        (["sort"], "", "before its input has ended"),
        (["ruby", "x.rb"], "ruby3.1", "$stdout.sync = true"),
        (["./script.pl"], "perl", "$| = 1"),
        (["python3", "-I", "x.py"], "python3.11", "python3 -I ignores PYTHONUNBUFFERED"),
        (["/usr/bin/python3", "-Es", "x.py"], "python3.11", "python3 -E ignores PYTHONUNBUFFERED"),
        (["python3", "-W", "error", "-m", "pytest"], "python3.13", "pytest -s"),
        (["python3", "-mpytest", "-q"], "python3.13", "pytest -s"),
        (["python3", "/venv/bin/pytest"], "python3.13", "pytest -s"),
    ],
)
def test_held(argv: list[str], program: str, expected: str):
    """A program that holds its output back is named, with its own switch; also when there was output."""
    found = hint_for(SHELL, process(*argv, program=program))

    assert found is not None
    assert expected in found
    assert found.isprintable()


@pytest.mark.parametrize(
    "argv",
    [
        ["grep", "--line-buffered", "x"],
        ["sed", "-u", "p"],
        ["sed", "-nu", "p"],
        ["jq", "--unbuffered", "."],
        ["mawk", "-W", "interactive", "{print}"],
        ["mawk", "-Winteractive", "{print}"],
        ["make", "-j4"],
        ["make", "-Onone"],
        ["make", "-kOnone"],
        ["python3", "x.py", "-I"],
        ["python3", "-Iu", "x.py"],
        ["python3", "-c", "-I"],
        ["python3", "-m", "pytest", "-s"],
        ["python3", "-W", "-I", "x.py"],
        ["cat"],
        ["node", "x.js"],
        ["bash", "x.sh"],
        ["unheard-of"],
    ],
)
def test_not_held(argv: list[str]):
    """There is no hint for what writes at once, by itself or by its arguments, nor for what is unknown."""
    assert hint_for(SHELL, process(*argv)) is None


@pytest.mark.parametrize(
    ("name", "env", "expected"),
    [
        ("grep", STDBUF, False),
        ("tr", {**STDBUF, "_STDBUF_O": "0"}, False),
        ("tr", {"_STDBUF_O": "L"}, True),
        ("rg", STDBUF, True),
        ("perl", {"PERL5OPT": "-I/x -MRuncastLineBuffered"}, False),
        ("perl", STDBUF, True),
        ("ruby", {"RUBYOPT": "-r/x/runcast_line_buffered.rb"}, False),
        ("luajit", {"LUA_INIT": "io.stdout:setvbuf'line'"}, False),
        ("python3", {"PYTHONUNBUFFERED": "1"}, False),
        ("python3", {"PYTHONUNBUFFERED": "0"}, True),
        ("python3", {}, True),
        ("frozen", {**UNBUFFERED, "_PYI_APPLICATION_HOME_DIR": "/tmp/_MEI1"}, True),
        ("grep", None, True),
        ("make", {"MAKEFLAGS": "-j4 --output-sync=line"}, True),
        ("make", {"MAKEFLAGS": "kO -j4"}, True),
        ("make", {"GNUMAKEFLAGS": "O"}, True),
        ("make", {"MAKEFLAGS": "k -j4 -Onone"}, False),
        ("make", {"MAKEFLAGS": "k -j4 -- O=/build"}, False),
        ("make", {}, False),
    ],
)
def test_variables(name: str, env: dict[str, str] | None, expected: bool):
    """What `line_buffered` and `stdbuf` cure needs no hint; variables that cannot be read cure nothing."""
    assert (hint_for(process(name, "x", env=env)) is not None) is expected


def test_several():
    """All that hold a pipeline up are in one sentence, at most three of them."""
    names = ["grep", "tr", "cut", "uniq"]
    found = hint_for(SHELL, *(process(name) for name in names[:2]))
    most = hint_for(SHELL, *(process(name) for name in names)) or ""

    assert found == (
        "grep and tr hold their lines back while the output is a pipe: grep --line-buffered, "
        f"stdbuf -oL tr; or {ALL}"
    )
    assert "grep, tr and cut hold" in most


@pytest.mark.parametrize("output", [TERMINAL, OTHER])
def test_pipes_only(output: str):
    """A program that writes to a file or a terminal holds nothing back from a viewer."""
    assert hint_for(process("grep", "x", output=output)) is None


def test_sudo():
    """Python behind sudo is known although it is root's, and so is sudo by the variables that it sets."""
    sudo = process("sudo", "python3", parent=True, output=None, env=None)
    unreadable = process("python3", "x.py", output=None, env=None)
    readable = process("python3", "x.py", env={"SUDO_COMMAND": "python3"})

    for found in (hint_for(sudo, unreadable), hint_for(readable)):
        assert found is not None
        assert "sudo PYTHONUNBUFFERED=1 python3" in found
    assert hint_for(unreadable) is None


@pytest.mark.parametrize(
    ("waiter", "expected"),
    [
        (process("less", "x", output=TERMINAL), "less shows a page and waits for a key"),
        (process("less", "x"), None),
        (process("ssh", "host", output=TERMINAL), "ssh may wait for a password"),
        (process("sudo", "ls", output=TERMINAL, parent=True), None),
        (process("sudo", "-S", "ls"), "sudo may wait for a password on its stdin"),
        (process("sudo", "ls"), None),
        (process("su", "-c", "ls"), "su may wait for a password on its stdin"),
    ],
)
def test_waiters(waiter: Process, expected: str | None):
    """A pager waits for a key on a terminal only, and what asks for a password until it has children."""
    found = hint_for(SHELL, waiter)

    assert (found or "").startswith(expected or "")
    assert (found is None) is (expected is None)


def test_no_output_at_all():
    """While there is none, a program that is not in the table may hold it back: the run's own by its name."""
    own = hint_for(process("./report"), empty=True)
    child = hint_for(SHELL, process("secret-tool", pid=2), empty=True)

    assert own is not None
    assert own.startswith(
        "report may hold its output back while that is a pipe: start the run with line_buffered"
    )
    assert child is not None
    assert child.startswith("a program that it runs may hold")
    assert "secret" not in child
    assert "line_buffered" not in (hint_for(process("./report", env=STDBUF), empty=True) or "")
    assert hint_for(SHELL, process("sleep", "9", pid=2), empty=True) is None
    assert hint_for(empty=True) is None


def test_of_a_run_that_waits_for_input():
    """Where it is known to wait for input, nothing is supposed of a program that is not in the table."""
    known = [process("grep", "x"), process("su", "-c", "ls"), process("less", output=TERMINAL)]

    assert hint([process("./report")], first=1, empty=True, waiting=True) is None
    assert all(hint([one], first=1, empty=True, waiting=True) for one in known)
