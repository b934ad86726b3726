"""What code of a run may do with the descriptors of its output, and what it cannot do to anybody else."""

import contextlib
import contextvars
import fcntl
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import runcast
from runcast.sources.capture import capturing
from runcast.sources.printer import Printer
from tests.helpers.captured import script
from tests.helpers.disk import small_disk
from tests.helpers.wait import wait_until
from tests.unit.sources.printed import ERR, OUT, Printed, printing


@contextlib.contextmanager
def running() -> Iterator[tuple[Printer, Printed]]:
    """Be code of a run; give its printer, and what it appended."""
    with printing() as pair, capturing(pair[0]):
        yield pair


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [65_537, 1_000_000, 12_000_000])
def test_c_code_that_keeps_the_gil(tmp_path: Path, size: int):
    """C code that keeps the GIL may write any amount at once: nobody waits for a thread of this process."""
    ran = script(
        tmp_path,
        f"""
        import ctypes
        data = b"x" * {size} + b"\\n"
        with capturing(printer):
            print("before")
            written = ctypes.PyDLL(None).write(sys.stdout.fileno(), data, len(data))
            print("after", written == len(data))
        printer.close()
        """,
    )

    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    assert ran.out == "before\n" + "x" * size + "\nafter True\n"


def test_faulthandler_of_many_threads(tmp_path: Path):
    """faulthandler, which keeps the GIL, shows more threads than a pipe has room for."""
    ran = script(
        tmp_path,
        """
        import faulthandler, threading
        over = threading.Event()
        def deep(n):
            return deep(n - 1) if n else over.wait()
        with capturing(printer):
            threads = [threading.Thread(target=deep, args=(90,)) for _ in range(40)]
            for thread in threads:
                thread.start()
            faulthandler.dump_traceback(sys.stderr)
            over.set()
            for thread in threads:
                thread.join()
        printer.close()
        """,
    )

    assert (ran.code, ran.stderr) == (0, "")
    assert ran.err.count("in deep") == 40 * 91
    assert len(ran.err) > 65_536


def test_crash_after_the_run(tmp_path: Path):
    """A faulthandler that was enabled inside a run reports a later crash on the server's stderr."""
    ran = script(
        tmp_path,
        """
        import faulthandler, signal
        with capturing(printer):
            faulthandler.enable(sys.stderr)
        printer.close()
        os.kill(os.getpid(), signal.SIGSEGV)
        """,
    )

    assert ran.code == 128 + signal.SIGSEGV  # as the shell says it
    assert "Fatal Python error: Segmentation fault" in ran.stderr
    assert ran.err == ""


def test_crash_inside_the_run(tmp_path: Path):
    """What a run wrote when its server died is on the server's stderr, for its log has nobody any more."""
    ran = script(
        tmp_path,
        """
        import ctypes, faulthandler
        with capturing(printer):
            faulthandler.enable(sys.stderr)
            ctypes.string_at(0)
        """,
    )

    assert ran.code == 128 + signal.SIGSEGV  # as the shell says it
    assert "Fatal Python error: Segmentation fault" in ran.stderr


def test_closed_number(tmp_path: Path):
    """A number that the run closed may be anybody's: nothing is written to it, and it stays open."""
    with running() as (printer, printed):
        with open(sys.stdout.fileno(), "w") as file:
            number = file.fileno()
            file.write("through the number\n")
        fd = os.open(tmp_path / "victim", os.O_WRONLY | os.O_CREAT)
        if fd != number:
            first, fd = fd, fcntl.fcntl(fd, fcntl.F_DUPFD, number)
            os.close(first)
        with open(fd, "wb", buffering=0) as victim:
            assert victim.fileno() == number
            print("printed")
            os.write(sys.stdout.fileno(), b"through another number\n")
            printer.close()
            victim.write(b"mine\n")

        assert (tmp_path / "victim").read_text() == "mine\n"
        assert printed.text() == "through the number\nprinted\nthrough another number\n"


def test_number_kept_beyond_the_end(capfd: pytest.CaptureFixture[str]):
    """After the end a number means the real stream, whoever kept it, and closing it closes nobody else's."""
    with running() as (printer, printed):
        out, err = sys.stdout.fileno(), sys.stderr.fileno()
        os.write(out, b"in time\n")
        printer.close()
        os.write(out, b"late\n")
        os.write(err, b"late error\n")
        os.close(out)

    assert capfd.readouterr() == ("late\n", "late error\n")
    assert printed.text() == "in time\n"


def test_number_stays_the_same():
    """A run has one number for each stream, as a program has; the streams' numbers are not 1 and 2."""
    with running():
        assert sys.stdout.fileno() == sys.stdout.fileno() == sys.stdout.buffer.fileno() > 2
        assert sys.stdout.fileno() != sys.stderr.fileno() > 2


def test_file_object_on_the_number(capfd: pytest.CaptureFixture[str]):
    """`sys.stdout` opened anew on its own descriptor prints into the run, and is undone with it."""
    with running() as (printer, printed):
        server = sys.stdout
        with open(sys.stdout.fileno(), "w", buffering=1) as sys.stdout:
            print("opened anew")
        sys.stdout = server
        print("as before")
        printer.close()
    print("over")

    assert printed.text() == "opened anew\nas before\n"
    assert capfd.readouterr().out == "over\n"


def test_dup2_onto_the_number():
    """`os.dup2` onto the number redirects the run, prints as well, until it is undone; nobody else."""
    with running() as (printer, printed):
        with printing() as (other, of_other), tempfile.TemporaryFile() as file:
            saved = os.dup(sys.stdout.fileno())
            print("one")
            os.dup2(file.fileno(), sys.stdout.fileno())
            os.write(sys.stdout.fileno(), b"hidden\n")
            print("hidden, too")
            with capturing(other):
                print("of another run")
            os.dup2(saved, sys.stdout.fileno())
            os.close(saved)
            print("two")
            printer.close()
            file.seek(0)

            assert file.read() == b"hidden\nhidden, too\n"
        assert printed.text() == "one\ntwo\n"
        assert of_other.text() == "of another run\n"


def test_dup2_is_undone_at_the_end(capfd: pytest.CaptureFixture[str]):
    """What `os.dup2` did is undone at the end: the number means the real stream, the next run is as any."""
    with tempfile.TemporaryFile() as file:
        with running() as (printer, printed):
            number = sys.stdout.fileno()
            os.dup2(file.fileno(), number)
            printer.close()
        os.write(number, b"late\n")
        file.seek(0)
        assert file.read() == b""
    with running() as (_, of_following):
        os.write(sys.stdout.fileno(), b"as any\n")

    assert capfd.readouterr().out == "late\n"
    assert (printed.text(), of_following.text()) == ("", "as any\n")


def test_stderr_into_stdout():
    """`os.dup2` of one stream onto the other is `2>&1`."""
    with running() as (printer, printed):
        os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
        print("error", file=sys.stderr)
        os.write(sys.stderr.fileno(), b"written\n")
        printer.close()

        assert printed.text(OUT) == "error\nwritten\n"
        assert printed.text(ERR) == ""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runs", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_descriptors_are_bounded(runs: int):
    """However many runs there are that use their numbers, or close them, few descriptors stay open."""
    with running():  # one is always active: to put in place what captures would take most of the time
        most = descriptors() + 50
        for run in range(runs):
            with running():
                for stream in (sys.stdout, sys.stderr):
                    if run % 2:
                        os.close(stream.fileno())
                    else:
                        os.write(stream.fileno(), b"x")

        assert descriptors() <= most


def test_numbers_are_given_again_and_mean_one_run():
    """A number that comes round again means its new run only."""
    seen: dict[int, int] = {}
    for run in range(100):
        with printing() as (other, printed), capturing(other):
            number = sys.stdout.fileno()
            os.write(number, b"%d" % run)
        assert printed.text() == str(run)
        seen[number] = seen.get(number, 0) + 1

    assert max(seen.values()) > 1


def test_truncating_open_of_the_stream():
    """A shell that opens /dev/stdout anew, as scripts do, takes away nothing that is there."""
    with running() as (printer, printed):
        script = "echo one; echo two > /dev/stdout; echo three >> /proc/self/fd/1"
        subprocess.run(["sh", "-c", script], stdout=sys.stdout, check=True)
        printer.close()

        assert printed.text() == "one\ntwo\nthree\n"


def test_fork_of_other_code():
    """A child that the server forks meanwhile is nothing that a run has left."""
    with running() as (printer, _):
        sys.stdout.fileno()
        ready, up = os.pipe()
        go, wait = os.pipe()
        pid = contextvars.Context().run(os.fork)
        if not pid:
            os.close(wait)
            os.write(up, b"!")
            os.read(go, 1)  # ends when the parent closed the other end
            os._exit(0)
        os.read(ready, 1)
        left = printer.end()
        for fd in (wait, go, ready, up):
            os.close(fd)
        os.waitpid(pid, 0)

    assert not left


HELPER = "import sys; print('up', flush=True); [print(line, end='', flush=True) for line in sys.stdin]"


def leave_helper(helpers: list[subprocess.Popen[str]]) -> None:
    """Start a program that prints what it is sent, and leave it."""
    helpers.append(
        subprocess.Popen([sys.executable, "-c", HELPER], stdin=subprocess.PIPE, stdout=sys.stdout, text=True)
    )


@contextlib.contextmanager
def left_run(store: Path) -> Iterator[tuple[runcast.Run, subprocess.Popen[str]]]:
    """A run that has returned, and left a program that goes on."""
    helpers: list[subprocess.Popen[str]] = []
    run = runcast.Store.open(store).start(leave_helper, helpers)
    wait_until(lambda: run.tail_offset >= len("up\n"), what="the helper to be up")
    try:
        yield run, helpers[0]
    finally:
        with contextlib.suppress(BrokenPipeError):
            helpers[0].communicate()


def test_left_program_is_heard(tmp_path: Path):
    """What a function leaves behind is heard until it ends, and the run ends then."""
    with left_run(tmp_path / "store") as (run, helper):
        assert not run.closed
        helper.communicate("late\n")
        run.wait()

        assert helper.returncode == 0
        assert (run.output(), str(run.outcome)) == ("up\nlate\n", "exit code 0")


def test_left_program_and_a_stop(tmp_path: Path):
    """A run that only waits for what it left ends at once when it is stopped, with its own outcome."""
    with left_run(tmp_path / "store") as (run, helper):
        run.stop()
        run.wait()

        assert helper.poll() is None
        assert str(run.outcome) == "exit code 0"


def test_left_program_outlives_the_grace(capfd: pytest.CaptureFixture[str]):
    """A program that is there when the run is over lives on, and what it prints goes to the real stream."""
    helpers: list[subprocess.Popen[str]] = []
    with running() as (printer, printed):
        leave_helper(helpers)
        printed.wait_for("up\n")
        assert printer.end()
        printer.drain_leftovers(0, lambda: False)
        printer.close()
    helpers[0].communicate("much later\n")
    heard = ""

    def shown() -> bool:
        nonlocal heard
        heard += capfd.readouterr().out
        return heard == "much later\n"

    wait_until(shown, what="the real stream to have it")
    assert (helpers[0].returncode, printed.text()) == (0, "up\n")


def drain_process(number: int) -> int:
    """Return the process that empties the pipe of a number."""
    pipe = os.readlink(f"/proc/self/fd/{number}")
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and b"sources.drain" in (folder / "cmdline").read_bytes():
                if any(os.readlink(fd) == pipe for fd in (folder / "fd").iterdir()):
                    return int(folder.name)
    return 0


def test_drain_process_is_killed():
    """Should the process that empties the pipes be killed, nothing is lost, and the next run has another."""
    with running() as (printer, printed):
        number = sys.stdout.fileno()
        os.write(number, b"one\n")
        wait_until(lambda: drain_process(number), what="the process to have the pipe")
        os.kill(drain_process(number), signal.SIGKILL)
        wait_until(lambda: not drain_process(number), what="its end")
        os.write(number, b"two\n")
        printed.wait_for("two\n")
        print("three")
        with printing() as (other, of_other), capturing(other):
            second = sys.stdout.fileno()
            os.write(second, b"of another\n")
            wait_until(lambda: drain_process(second), what="a new process")
        printer.close()

        assert printed.text() == "one\ntwo\nthree\n"
        assert of_other.text() == "of another\n"


def test_no_process_can_be_started(tmp_path: Path):
    """Where no further process can be had, descriptors work all the same, as far as a pipe goes."""
    ran = script(
        tmp_path,
        """
        import subprocess
        python, sys.executable = sys.executable, "/nowhere/python"
        with capturing(printer):
            print("one")
            os.write(sys.stdout.fileno(), b"two\\n")
            print("three")
            subprocess.run(["echo", "four"], stdout=sys.stdout, check=True)
            print("five")
        printer.close()
        """,
    )

    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    assert ran.out.split() == "one two three four five".split()


@pytest.mark.root
@pytest.mark.fault
@pytest.mark.parametrize("left", [0, 1_000_000])
def test_full_disk(tmp_path: Path, left: int):
    """What no disk has room for, while nobody can read it, is counted where it is missing; all go on."""
    with small_disk(tmp_path / "disk", 2_000_000) as disk:
        (disk / "others").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - left))
        ran = script(
            tmp_path,
            f"""
            import ctypes
            printer = Printer(append, folder={str(disk)!r})
            data = b"x" * 3_000_000
            with capturing(printer):
                print("before")
                ctypes.PyDLL(None).write(sys.stdout.fileno(), data, len(data))
                print("after")
            printer.close()
            """,
        )

    kept, lost = ran.out.count("x"), sum(map(int, re.findall(r"runcast: (\d+) bytes were lost", ran.out)))
    assert kept + lost == 3_000_000
    assert lost > 0
    assert "after\n" in ran.out


def test_server_dies_with_a_program_left(tmp_path: Path):
    """A program that a run left when its server died goes on, and prints where the server did."""
    ran = script(
        tmp_path,
        """
        import signal, subprocess
        with capturing(printer):
            gone, lives = os.pipe()
            program = ["sh", "-c", "read line; echo still here"]
            subprocess.Popen(program, stdin=gone, stdout=sys.stdout)
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )

    assert ran.code == 128 + signal.SIGKILL
    assert ran.stdout == "still here\n"


def test_threads_share_a_number():
    """Threads of a run that write at once, each line in one write, lose none and tear none."""
    with running() as (printer, printed):

        def work(name: int) -> None:
            for line in range(200):
                os.write(sys.stdout.fileno(), b"<%d %d>\n" % (name, line))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        printer.close()

        lines = printed.text().splitlines()
        assert sorted(lines) == sorted(f"<{name} {line}>" for name in range(8) for line in range(200))


def test_streams_without_a_descriptor(tmp_path: Path):
    """A program gets the run's descriptor where a task queue put one object without any for both streams."""
    ran = script(
        tmp_path,
        """
        import subprocess
        class Logging:
            def write(self, text):
                pass
            def flush(self):
                pass
        sys.stdout = sys.stderr = Logging()
        with capturing(printer):
            subprocess.run("echo out; echo error >&2", shell=True, stdout=sys.stdout, stderr=sys.stderr)
        printer.close()
        """,
    )

    assert (ran.code, ran.out, ran.err) == (0, "out\n", "error\n")


def test_redirect_of_a_generator(tmp_path: Path):
    """A generator's redirect is there again when it goes on, and nobody else's while it rests."""

    def generate() -> Iterator[str]:
        with contextlib.redirect_stdout(io.StringIO()) as mine:
            print("one")
            yield "first"
            print("two")
        yield mine.getvalue()

    store = runcast.Store.open(tmp_path / "store")
    run = store.start(generate())
    lines = run.lines()
    assert next(lines) == "first"
    assert not isinstance(sys.stdout, io.StringIO)
    store.start(print, "another").wait()

    assert list(lines) == ["one", "two"]


def test_program_left_as_the_interpreter_ends(tmp_path: Path):
    """A server ends at once though a run only waits for what it left, and the run has its outcome."""
    store = tmp_path / "store"
    ran = script(
        tmp_path,
        f"""
        import runcast, subprocess
        with runcast.attach("leaving", store={str(store)!r}):
            print("line")
            gone, lives = os.pipe()
            subprocess.Popen(["sh", "-c", "read line; echo late"], stdin=gone, stdout=sys.stdout)
        """,
    )
    (run,) = runcast.Store.open(store).list()

    assert (ran.code, ran.stderr) == (0, "")
    assert str(run.outcome) == "exit code 0"
    assert (run.output(), ran.stdout) == ("line\n", "late\n")


@pytest.mark.parametrize("left", [False, True])
def test_left_program_under_gevent(tmp_path: Path, left: bool):
    """Under gevent, too, the end waits for programs that were left behind, and for nothing else."""
    ran = script(
        tmp_path,
        f"""
        import itertools, subprocess
        with capturing(printer):
            os.write(sys.stdout.fileno(), b"by number\\n")
            helper = subprocess.Popen(["sleep", "60" if {left} else "0"], stdout=sys.stdout)
            if not {left}:
                helper.wait()
        looks = itertools.count()
        printer.end()
        printer.drain_leftovers(float("inf"), lambda: next(looks) == 20)
        print(next(looks) > 20)
        helper.kill()
        printer.close()
        """,
        before="from gevent import monkey; monkey.patch_all()",
    )

    assert (ran.stdout, ran.out, ran.stderr) == (f"{left}\n", "by number\n", "")
