"""`runcast run`: start a command, show its output, exit as it did."""

import fcntl
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from runcast import Outcome, Reason, Run, State, Store
from runcast.run.base import files_of
from tests.helpers.children import PYTHON, Printer
from tests.helpers.cli import LONG, RUNCAST, cli, cli_begun, terminal
from tests.helpers.wait import wait_until
from tests.integration.server.test_serve import serving

FOREVER = "echo ready; exec sleep 1000"
STUBBORN = "trap '' INT TERM; echo ready; while :; do sleep 0.05; done"


def only(store: Store) -> Run:
    """Return the one run of the store."""
    (run,) = store.list()
    return run


def ended(run: Run) -> Outcome:
    return run.wait(timeout=LONG)


def test_output_is_byte_exact(store: Store, tmp_path: Path):
    """What the command writes to stdout and stderr comes out of ours, every byte, in order."""
    printer = Printer(tmp_path / "copies", lines=3000)

    with (tmp_path / "err").open("wb") as err:
        done = cli("run", "--", *printer.argv, stderr=err)

    assert done.code == 0
    assert done.out == printer.copy("stdout")
    assert (tmp_path / "err").read_bytes() == printer.copy("stderr")


def test_every_byte_value(store: Store):
    """Bytes that are no text pass as they are: NUL, escape, invalid UTF-8."""
    code = "import os; os.write(1, bytes(range(256)) * 3)"

    assert cli("run", "--", *PYTHON, code).out == bytes(range(256)) * 3


def test_output_is_live(store: Store, tmp_path: Path):
    """Output is shown while the command still runs."""
    go = tmp_path / "go"
    wait = f"printf 'half a line'; until test -e {go}; do sleep 0.01; done; echo"

    with cli_begun("run", "--shell", wait) as process:
        assert process.stdout.read(11) == b"half a line"
        assert only(store).state is State.RUNNING
        go.touch()
        assert process.communicate(timeout=LONG) == (b"\n", b"")
    assert process.returncode == 0


@pytest.mark.parametrize("code", [0, 1, 3, 42, 255])
def test_exit_code(store: Store, code: int):
    """The exit code is the command's."""
    assert cli("run", "--shell", f"exit {code}") == (code, b"", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_exit_code_of_a_signal(store: Store, number: signal.Signals):
    """A signal gives 128 + its number, and its name on stderr."""
    done = cli("run", "--shell", f"ulimit -c 0; kill -{number.value} $$")

    assert done.code == 128 + number
    assert done.err == f"runcast: run {only(store).id}: killed by {number.name}\n"


def test_not_found(store: Store):
    """A command that does not exist gives 127 and one sentence."""
    done = cli("run", "no-such-program", "-x")

    assert (done.code, done.out) == (127, b"")
    assert done.err == "runcast: command not found: 'no-such-program' is in no folder of PATH\n"


def test_not_executable(store: Store, tmp_path: Path):
    """A file that cannot be executed gives 126 and one sentence."""
    (tmp_path / "script").write_text("true")

    done = cli("run", "./script", cwd=tmp_path)

    assert (done.code, done.out) == (126, b"")
    assert done.err.startswith("runcast: permission denied: './script' is not executable")


def test_options_behind_the_command_are_its_own(store: Store):
    """Without `--`, too: what follows the command is not ours, whatever it looks like."""
    assert cli("run", "echo", "-n", "--help", "--name", "x").out == b"--help --name x"
    assert cli("run", "--name", "mine", "--", "echo", "--", "--detach").out == b"-- --detach\n"
    assert [run.name for run in store.list()] == ["mine", "echo"]


def test_shell(store: Store):
    """`--shell` has one string executed by a shell."""
    assert cli("run", "--shell", "echo a && echo b | tr b c").out == b"a\nc\n"


def test_program_with_a_blank_in_its_name(store: Store, tmp_path: Path):
    """A program whose name has blanks and more is run all the same."""
    program = tmp_path / "my program & more"
    program.write_text("#!/bin/sh\necho ran")
    program.chmod(0o755)

    assert cli("run", program).out == b"ran\n"


def test_several_words_are_literal(store: Store):
    """Shell syntax in a word of its own was quoted by the user's shell, and is meant."""
    assert cli("run", "echo", "a && b", "$HOME", "*").out == b"a && b $HOME *\n"


def test_cwd_env_and_name(store: Store, tmp_path: Path):
    """`--cwd`, `--env` and `--name` do what they say."""
    options = ("--cwd", tmp_path, "--env", "A=1=2", "--env", "B=", "--name", "tester")

    assert cli("run", *options, "--shell", 'pwd; echo "$A,$B"').out == f"{tmp_path}\n1=2,\n".encode()
    assert only(store).name == "tester"


@pytest.mark.parametrize("program", ["node -p 8080", "pytest -q --co nowhere.py"])
def test_colors(store: Store, program: str, monkeypatch: pytest.MonkeyPatch):
    """Real programs color a pipe with `--color`, not with `--no-color`; a rerun does as its first run."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("PATH", f"{Path(RUNCAST).parent}:{os.environ['PATH']}")
    for option in ("--color", "--no-color"):
        cli("run", option, "--", *program.split())
    plain, colored = store.list()
    again = store.rerun(colored)
    outputs = [run.output(check=False, encoding=None) for run in (colored, plain, again)]

    assert [b"\x1b[" in output for output in outputs] == [True, False, True]


def test_stdin_is_not_ours(store: Store):
    """A command reads nothing unless told to."""
    assert cli("run", "cat", input=b"not for you") == (0, b"", "")


def test_stdin_of_a_pipe(store: Store):
    """`-i` gives the command the pipe that we read from, to its end."""
    data = bytes(range(256)) * 4096

    assert cli("run", "-i", "cat", input=data) == (0, data, "")


def test_stdin_of_a_file(store: Store, tmp_path: Path):
    """`-i` gives the command the very file."""
    (tmp_path / "names").write_text("b\na\n")

    with (tmp_path / "names").open() as names:
        assert cli("run", "--stdin", "sort", stdin=names).out == b"a\nb\n"


def test_stdin_of_a_terminal(store: Store):
    """`-i` at a terminal sends the command what is typed, and the end of it."""
    with terminal("run", "-i", "--shell", "read x; echo first $x; cat; echo over") as screen:
        screen.type("one\n")
        screen.until("first one\n")
        screen.type("two\n")
        screen.until("two\ntwo\n")
        screen.type("\x04")
        assert screen.end() == 0
    assert screen.seen.endswith("over\n")


def test_stdin_of_a_terminal_is_closed_by_the_command(store: Store):
    """A command that ends without having read what is typed ends us, too."""
    with terminal("run", "-i", "--shell", "echo ready; read x; exit 4") as screen:
        screen.until("ready")
        screen.type("one\ntwo\nthree\n")
        assert screen.end() == 4


def test_terminal_cannot_be_detached_from(store: Store):
    """`-i --detach` at a terminal is refused: nobody would be there to read it."""
    with terminal("run", "-i", "--detach", "cat") as screen:
        assert screen.end() == 2
    assert "expected a file or a pipe as stdin with --detach" in screen.seen
    assert list(store.list()) == []


def test_timeout(store: Store):
    """`--timeout` stops the run, and says so."""
    done = cli("run", "--timeout", "50ms", "sleep", "1000")

    assert done.code == 124  # as timeout(1)
    assert done.err == f"runcast: run {only(store).id}: timed out, killed by SIGTERM\n"


@pytest.mark.slow
def test_timeout_is_no_success(store: Store):
    """A run that took its timeout well and exits with 0 does not count as done."""
    ends_well = "trap 'exit 0' TERM; while :; do sleep 0.01; done"
    done = cli("run", "--timeout", "500ms", "--shell", ends_well)

    assert only(store).outcome.code == 0
    assert done.code == 124


def test_idle_timeout(store: Store):
    """`--idle-timeout` stops a run that is silent."""
    done = cli("run", "--idle-timeout", "50ms", "--shell", "echo a; exec sleep 1000")

    assert (done.code, done.out) == (124, b"a\n")
    assert only(store).outcome.reason is Reason.IDLE_TIMED_OUT


@pytest.mark.slow
def test_cap(store: Store):
    """`--cap` keeps so much, and what it dropped is told."""
    done = cli("run", "--cap", "2M", "--shell", "head -c 8000000 /dev/zero")

    assert done.code == 0
    assert done.err.endswith(f"run {only(store).id}: the cap dropped some of its output\n")
    assert only(store).outcome.truncated
    assert only(store).request["cap"] == 2 << 20


def test_no_cap(store: Store):
    """`--cap none` keeps all."""
    assert cli("run", "--cap", "none", "true").code == 0
    assert only(store).request["cap"] is None


def test_safe(store: Store):
    """`--safe` leaves out what a terminal would obey, on each channel; the log has all of it."""
    prints = "printf '\\033[31mr\\033]0;t\\007ed\\n'; printf '\\033[1mbold\\033[m\\n' >&2"

    assert cli("run", "--safe", "--shell", prints) == (0, b"red\n", "bold\n")
    assert only(store).output(channel="stdout") == "\x1b[31mr\x1b]0;t\x07ed\n"


def test_detach(store: Store):
    """`--detach` prints the id and nothing else, and the run goes on."""
    done = cli("run", "--detach", "--shell", FOREVER)

    assert done == (0, f"{only(store).id}\n".encode(), "")
    assert only(store).state is State.RUNNING


def test_detach_what_cannot_be_started(store: Store):
    """`--detach` tells when the command cannot be started."""
    done = cli("run", "--detach", "no-such-program")

    assert (done.code, done.out) == (127, f"{only(store).id}\n".encode())
    assert "command not found" in done.err


def test_grandchild_holds_no_pipe_of_ours(store: Store):
    """`x=$(runcast run --detach …)` does not wait for the run: no part of it has our pipe."""
    with cli_begun("run", "--detach", "--shell", FOREVER) as process:
        out, _ = process.communicate(timeout=LONG)

    assert out.decode().strip() == only(store).id
    assert only(store).outcome is None


def test_reader_left(store: Store):
    """`runcast run -- yes | head -1` ends like any pipeline, and stops the run."""
    pipeline = f"{RUNCAST} run -- yes | head -1; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", pipeline], capture_output=True, timeout=LONG, check=True)

    assert (done.stdout, done.stderr) == (b"y\n141\n", b"")
    assert ended(only(store)).reason is Reason.STOPPED


def test_reader_of_stderr_left(store: Store):
    """The same when it was stderr that somebody read."""
    pipeline = f"({RUNCAST} run --shell 'yes >&2' 2>&1 >/dev/null; echo $? >&3) 3>&2 | head -1"

    done = subprocess.run(["bash", "-c", pipeline], capture_output=True, timeout=LONG, check=True)

    assert (done.stdout, done.stderr) == (b"y\n", b"141\n")
    assert ended(only(store)).reason is Reason.STOPPED


def test_slow_reader_of_a_pipe_that_does_not_block(store: Store, tmp_path: Path):
    """Partial writes and EAGAIN lose nothing: a pipe may be set not to block by whoever shares it."""
    printer = Printer(tmp_path / "copies", lines=20000, channels=("stdout",))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)

    with cli_begun("run", "--", *printer.argv, stdout=writing) as process:
        os.close(writing)
        ended(wait_until(lambda: next(store.list(), None)))  # all is written before anything is read
        with open(reading, "rb") as pipe:
            assert pipe.read() == printer.copy("stdout")
        assert process.wait(LONG) == 0


def test_closed_stdout(store: Store):
    """With stdout closed (`>&-`) nothing is shown, and no file of ours is written to instead."""
    command = f"{RUNCAST} run --shell 'echo out; echo err >&2' >&-"

    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=LONG, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"err\n")
    assert only(store).output() == "out\nerr\n"


def test_full_disk_behind_stdout(store: Store):
    """Output that cannot be written is told; the run, and its log, go on."""
    command = "echo ready; read x; echo $x"
    with open("/dev/full", "wb") as full:
        done = cli("run", "--shell", command, stdout=full)
    run = only(store)

    assert done.code == 2
    assert done.err.startswith("runcast: cannot write to stdout: no space left on device; run ")
    assert f"`runcast follow {run.id}` follows it" in done.err
    assert ended(run).reason is Reason.EXITED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_we_are_told_to_go(store: Store, number: signal.Signals):
    """SIGTERM and SIGHUP end us, not the run, and we say how to see it again."""
    with cli_begun("run", "--shell", FOREVER) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=LONG)
    run = only(store)

    assert process.returncode == 128 + number
    assert (out, err.decode()) == (
        b"",
        f"runcast: run {run.id} continues; `runcast follow {run.id}` follows it\n",
    )
    assert run.state is State.RUNNING


def test_store_is_named_in_the_hint(store: Store, monkeypatch: pytest.MonkeyPatch):
    """The hint names the store, where the user did."""
    monkeypatch.delenv("RUNCAST_STORE")
    with cli_begun("--store", store.path, "run", "--shell", FOREVER) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=LONG)[1].decode()

    assert f"`runcast --store {store.path} follow {only(store).id}`" in err


def test_hang_up(store: Store):
    """A terminal that closes ends us, not the run."""
    with terminal("run", "--shell", FOREVER) as screen:
        screen.until("ready")
        os.close(screen.fd)
        assert screen.process.wait(LONG) in (128 + signal.SIGHUP, -signal.SIGHUP)

    assert only(store).state is State.RUNNING


def test_nohup(store: Store, tmp_path: Path):
    """Under nohup, SIGHUP does nothing."""
    go = tmp_path / "go"
    command = f"echo ready; until test -e {go}; do sleep 0.01; done; echo went"
    ignore = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", RUNCAST, "run", "--shell", command]
    with subprocess.Popen(ignore, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        go.touch()
        assert process.communicate(timeout=LONG)[0] == b"went\n"

    assert process.returncode == 0


@pytest.mark.fault
def test_killed(store: Store):
    """`kill -9` of us leaves the run alone."""
    with cli_begun("run", "--shell", FOREVER) as process:
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        process.wait(LONG)

    assert only(store).state is State.RUNNING


def test_ctrl_c(store: Store):
    """Ctrl-C stops the run, says so, and the exit code is 130."""
    with terminal(
        "run", "--shell", "trap 'echo bye; exit 7' INT; echo ready; while :; do sleep 0.01; done"
    ) as screen:
        screen.until("ready\n")
        screen.type("\x03")
        assert screen.end() == 130
    run = only(store)

    told = f"runcast: stopping run {run.id}; killing it in 5 s, or at once with another Ctrl-C\n"
    assert told in screen.seen
    assert "bye\n" in screen.seen
    assert screen.seen.endswith(f"runcast: run {run.id}: stopped, exit code 7\n")


def test_second_ctrl_c(store: Store):
    """A second Ctrl-C kills a run that does not listen, and everything it started, at once."""
    with terminal("run", "--shell", STUBBORN) as screen:
        screen.until("ready\n")
        screen.type("\x03")
        screen.until("another Ctrl-C\n")
        screen.type("\x03")
        screen.until("killing run")
        assert screen.end() == 130
    outcome = ended(only(store))

    assert (outcome.reason, outcome.signal) == (Reason.STOPPED, signal.SIGKILL)


def test_ctrl_c_when_nobody_reads(store: Store):
    """Ctrl-C stops the run even while our stdout takes nothing; a third gets us out, too."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with cli_begun("run", "--shell", "trap '' INT; yes", stdout=writing) as process:
        os.close(writing)
        run = wait_until(lambda: next(store.list(), None))
        wait_until(lambda: run.tail_offset > 1 << 20, what="output that nobody reads")
        for says in (b"stopping", b"killing"):
            process.send_signal(signal.SIGINT)
            assert says in process.stderr.readline()
        assert ended(run).reason is Reason.STOPPED
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == 130
    os.close(reading)


def test_ctrl_c_in_a_shell_background(store: Store, tmp_path: Path):
    """Where a shell's background has SIGINT ignored, it stays ignored."""
    go = tmp_path / "go"
    command = f"echo ready; until test -e {go}; do sleep 0.01; done; echo went"
    ignore = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", RUNCAST, "run", "--shell", command]
    with subprocess.Popen(ignore, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        go.touch()
        assert process.communicate(timeout=LONG)[0] == b"went\n"

    assert process.returncode == 0


def test_stopped_by_somebody_else(store: Store):
    """A run that is stopped from elsewhere says so here."""
    with cli_begun("run", "--shell", FOREVER) as process:
        assert process.stdout.readline() == b"ready\n"
        only(store).stop()
        err = process.communicate(timeout=LONG)[1].decode()

    assert process.returncode == 143
    assert err == f"runcast: run {only(store).id}: stopped, killed by SIGTERM\n"


@pytest.mark.fault
def test_supervisor_is_killed(store: Store):
    """A run that is lost is told, with exit code 1."""
    with cli_begun("run", "--shell", FOREVER) as process:
        assert process.stdout.readline() == b"ready\n"
        os.kill(files_of(only(store)).state()["supervisor"], signal.SIGKILL)
        err = process.communicate(timeout=LONG)[1].decode()

    assert process.returncode == 1
    assert "lost (its supervisor died" in err


def test_no_asyncio(store: Store):
    """`runcast run` loads no event loop, and no verb but its own."""
    code = "import sys; from runcast.cli import main; main(['run', 'true']); print(*sys.modules)"
    loaded = set(
        subprocess.run([*PYTHON[:1], "-c", code], capture_output=True, check=True).stdout.decode().split()
    )

    assert "runcast.cli.run" in loaded
    assert not loaded & {"asyncio", "platformdirs", "tempfile", "runcast.cli.ls", "runcast.cli.follow"}


@pytest.mark.slow
def test_link_of_a_server_that_watches(store: Store):
    """Where a server watches the same store, the link to the run is told, and it is the run's page."""
    with serving("--allow-any-command") as server:
        with terminal("run", "--", "echo", "hi") as screen:
            assert screen.end() == 0
        url = re.search(r"watch it at (\S+)", screen.seen)
        assert "hi\n" in screen.seen
        assert url, screen.seen
        with terminal("run", "-q", "--", "echo", "hi") as screen:
            assert screen.end() == 0
        assert screen.seen == "hi\n"
        assert cli("run", "--", "echo", "hi") == (0, b"hi\n", "")  # not into a file, for ever
        run_id = url[1].rsplit("/", 1)[1]
        assert url[1].startswith(f"http://127.0.0.1:{server.port}/runs/")
        assert cli("log", run_id).out == b"hi\n"
