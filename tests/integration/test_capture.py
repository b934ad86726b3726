"""Capture in processes of its own: the interpreter's end, forks, libraries, other people's capture."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers.captured import PROLOGUE, Ran, script
from tests.helpers.wait import MS


def test_interpreter_ends_inside_a_run(tmp_path: Path):
    """What is printed up to the interpreter's end is in the log, and what finalizers print is not lost."""
    ran = script(
        tmp_path,
        """
        import atexit
        print("outside, pending")
        capturing(printer).__enter__()
        class Late:
            def __del__(self):
                print("finalizer")
        import types
        sys.modules["late"] = types.ModuleType("late")
        sys.modules["late"].one = Late()  # gone with its module, long after the last `atexit`
        atexit.register(print, "at exit")
        print("last words", end="")
        """,
    )

    assert (ran.code, ran.stderr) == (0, "")
    assert ran.out == "last wordsat exit\n"
    assert ran.stdout == "outside, pending\nfinalizer\n"


def test_interpreter_ends_while_threads_print(tmp_path: Path):
    """Daemon threads of a run that print to the very end keep no interpreter from ending."""
    ran = script(
        tmp_path,
        """
        import threading, time
        def work():
            while True:
                sys.stdout.write("thread ")
        with capturing(printer):
            for _ in range(3):
                threading.Thread(target=work, daemon=True).start()
        while not os.path.exists("STDOUT") or not os.path.getsize("STDOUT"):
            time.sleep(0.001)
        """,
        shell='"$@" > /dev/null',
    )

    assert (ran.code, ran.stderr) == (0, "")
    assert set(ran.out.split()) == {"thread"}


def test_finished_run_at_the_end(tmp_path: Path):
    """A printer that was never closed keeps nothing back when the interpreter ends."""
    ran = script(
        tmp_path,
        """
        def job():
            print("half a line", end="")
        import threading
        with capturing(printer):
            thread = threading.Thread(target=job)
            thread.start()
        thread.join()
        """,
    )

    assert (ran.code, ran.out + ran.stdout) == (0, "half a line")


def test_signal_handler(tmp_path: Path):
    """Prints of a signal handler that comes in the midst of a run's prints are in its log."""
    ran = script(
        tmp_path,
        """
        import signal
        count = 0
        def handler(number, frame):
            global count
            count += 1
            sys.stderr.write("signal\\n")
        signal.signal(signal.SIGALRM, handler)
        with capturing(printer):
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            lines = 0
            while count < 100:
                print("line", lines)
                lines += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
        printer.close()
        print(count, lines)
        """,
    )

    count, lines = map(int, ran.stdout.split())
    assert ran.err == "signal\n" * count
    assert ran.out == "".join(f"line {number}\n" for number in range(lines))


def test_multiprocessing(tmp_path: Path):
    """What a forked process of multiprocessing prints is in the log of the run that started it."""
    ran = script(
        tmp_path,
        """
        import multiprocessing
        def work(number):
            sys.stdout.write(f"process {number}\\n")
            sys.stderr.write(f"error {number}\\n")
        with capturing(printer):
            context = multiprocessing.get_context("fork")
            processes = [context.Process(target=work, args=(n,)) for n in range(4)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
        printer.close()
        print("outside")
        """,
    )

    assert (ran.code, ran.stdout, ran.stderr) == (0, "outside\n", "")
    assert sorted(ran.out.split()) == sorted("process 0 process 1 process 2 process 3".split())
    assert sorted(ran.err.split()) == sorted("error 0 error 1 error 2 error 3".split())


def test_child_of_other_code(tmp_path: Path):
    """A child forked by code outside runs prints to the streams themselves, though a run is active."""
    ran = script(
        tmp_path,
        """
        import contextvars, threading
        def fork():
            pid = os.fork()
            if not pid:
                print("child", flush=True)
                with capturing(printer):
                    print("child in a run that is not its own", flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
        with capturing(printer):
            print("inside")
            contextvars.Context().run(fork)
        printer.close()
        """,
    )

    assert ran.out == "inside\n"
    assert ran.stdout == "child\nchild in a run that is not its own\n"


@pytest.mark.parametrize("options", [(), ("-u",)])
@pytest.mark.parametrize("shell", ['"$@"', '"$@" > file', '"$@" >&-', '"$@" >&- 2>&-'])
def test_any_stdout(tmp_path: Path, options: tuple[str, ...], shell: str):
    """Prints are captured whatever stdout is: a pipe, a file, unbuffered, closed."""
    ran = script(
        tmp_path,
        """
        import contextvars
        print("outside")
        with capturing(printer):
            print("inside", flush=True)
            contextvars.Context().run(print, "while it runs")
            print("error", file=sys.stderr)
            if sys.stdout is sys.__stdout__:
                sys.stdout.buffer.write(b"bytes\\n")
            else:
                sys.stdout.write("bytes\\n")
        print("after")
        printer.close()
        """,
        *options,
        shell=shell,
    )

    assert (ran.code, ran.stderr) == (0, "")
    assert (ran.out, ran.err) == ("inside\nbytes\n", "error\n")
    if ">&-" not in shell:
        printed = ran.stdout or (tmp_path / "file").read_text()
        assert printed == "outside\nwhile it runs\nafter\n"


def test_warnings(tmp_path: Path):
    """Warnings go to the stderr of the run whose code they are about."""
    ran = script(
        tmp_path,
        """
        import warnings
        with capturing(printer):
            warnings.warn("careful")
        printer.close()
        """,
    )

    assert "UserWarning: careful" in ran.err
    assert ran.stderr == ""


def test_rich(tmp_path: Path):
    """rich prints into the run, without the colours of a terminal, also by a console that was made before."""
    ran = script(
        tmp_path,
        """
        from rich.console import Console
        from rich.progress import track
        import rich
        early = Console(file=sys.stdout, force_terminal=None)
        with capturing(printer):
            early.print("[bold]early[/bold]")
            rich.print("[red]hello[/red]")
            for _ in track(range(3), description="Working"):
                pass
        printer.close()
        """,
    )

    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    assert ran.out.startswith("early\nhello\n")
    assert "Working" in ran.out
    assert "\x1b" not in ran.out


def test_tqdm(tmp_path: Path):
    """The progress bar of tqdm is seen on the run's stderr as it moves."""
    ran = script(
        tmp_path,
        """
        from tqdm import tqdm
        with capturing(printer):
            for _ in tqdm(range(5), mininterval=0):
                tqdm.write("step")
        printer.close()
        """,
    )

    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    assert ran.out == "step\n" * 5
    assert all(f"{number}/5" in ran.err for number in range(6))


@pytest.mark.slow
@pytest.mark.parametrize("first", ["gevent", "runcast"])
def test_gevent(tmp_path: Path, first: str):
    """Greenlets print to the run that spawned them, and what is unfinished is seen, patched or not."""
    patch = "from gevent import monkey; monkey.patch_all()\n"
    ran = script(
        tmp_path,
        (patch if first == "runcast" else "")
        + textwrap.dedent(
            """
            import gevent, subprocess
            def work(number):
                for line in range(50):
                    print(f"<{number} {line}>")
                    gevent.sleep(0)
                print(f"<{number} half>", end="")
            gots = [[], [], []]
            others = [Printer(lambda channel, data, got=got: got.append(data)) for got in gots]
            greenlets = []
            for number, other in enumerate(others):
                with capturing(other):
                    greenlets.append(gevent.spawn(work, number))
            with capturing(printer):
                gevent.joinall(greenlets)
                while not all(got[-1].endswith(b"half>") for got in gots):
                    gevent.sleep(0.001)
                print("joined")
                subprocess.run(["echo", "from a program"], stdout=sys.stdout, check=True)
            for number, got in enumerate(gots):
                lines = [f"<{number} {line}>" for line in range(50)]
                expected = "\\n".join([*lines, f"<{number} half>"])
                assert b"".join(got).decode() == expected, got
            printer.close()
            """
        ),
        before=patch if first == "gevent" else "",
    )

    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    assert ran.out == "joined\nfrom a program\n"


@pytest.mark.slow
@pytest.mark.parametrize("capture", ["fd", "sys", "tee-sys", "no"])
def test_inside_pytest(tmp_path: Path, capture: str):
    """pytest's own capture sees what is printed outside the run, and nothing of the run."""
    (tmp_path / "test_inner.py").write_text(
        PROLOGUE
        + textwrap.dedent(
            """
            import logging

            def test_capsys(capsys):
                with capturing(printer):
                    print("inside")
                print("outside")
                assert capsys.readouterr().out == "outside\\n"

            def test_capfd(capfd):
                with capturing(printer):
                    print("inside")
                    print("error", file=sys.stderr)
                    os.write(1, b"descriptor\\n")
                print("outside")
                printer.flush()
                assert sorted(capfd.readouterr().out.split()) == ["descriptor", "outside"]

            def test_caplog(caplog):
                with capturing(printer):
                    logging.warning("logged")
                assert "logged" in caplog.text

            def test_failing():
                with capturing(printer):
                    print("inside")
                print("seen by pytest")
                raise AssertionError
            """
        )
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--capture={capture}"]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # half of its time is other plugins
    process = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=60_000 * MS
    )
    ran = Ran(tmp_path, process)

    assert "1 failed, 3 passed" in ran.stdout, ran.stdout
    assert "seen by pytest" in ran.stdout
    assert ran.out == "inside\n" * 3
    assert ran.err == "error\n"
