"""`line_buffered` and real programs: a run gives a program a line only when the one before it came back.

So nothing depends on time: a program that holds its lines back never comes to its end. When each
program writes what it prints is measured beside it, for the table that hints and docs are made from.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runcast import Store
from runcast.hints.table import AT_END, AT_ONCE, Program, programs
from runcast.sources.command import environment
from runcast.sources.line_buffering import set_line_buffered
from tests.helpers.cli import cli
from tests.helpers.holding import measure
from tests.helpers.wait import MS

LINES = [f"line {number}" for number in range(5)]
TRIED = [program for program in programs() if program.tried]
CURED = [program for program in TRIED if (program.pipe, program.line_buffered) == (AT_END, AT_ONCE)]
PIPELINE = ["sh", "-c", "grep line | tr x y | sed s/x/y/ | cut -c1-"]
FILTER = """
#include <stdio.h>
int main(void) {
    char line[100];
    while (fgets(line, sizeof line, stdin)) fputs(line, stdout);
    return 0;
}
"""
COMPILERS = {
    "C and C++ (`printf`, `cout`)": ["gcc"],
    "C, linked statically": ["gcc", "-static"],
    "C, linked against musl": ["musl-gcc"],
}
PRINT = "print('worker', 1, 'line', 2)"
DEADLINE = 20000 * MS


def name_of(program: Program) -> str:
    return program.name


@pytest.mark.slow
@pytest.mark.parametrize("program", TRIED, ids=name_of)
def test_programs_are_as_the_table_says(program: Program):
    """On a pipe, with `line_buffered` and at a terminal each program does what the table has of it.

    Where `line_buffered` says that it cannot act, as on a busybox that is linked statically, it does not.
    """
    plain = environment(None, "id")
    buffered = dict(plain)
    unfit = set_line_buffered(buffered, program.tried[0], "/")

    assert (
        measure(program.tried, plain),
        measure(program.tried, buffered),
        measure(program.tried, plain, terminal=True),
    ) == (program.pipe, program.pipe if unfit else program.line_buffered, program.tty)


def give_back(store: Store, command: Sequence[str]) -> list[str]:
    """Send lines, each once the one before it came back, and return all that came."""
    run = store.start(command, stdin="pipe", line_buffered=True, timeout=DEADLINE)
    lines = run.lines()
    came = []
    for line in LINES:
        run.send(f"{line}\n")
        came.append(next(lines))
    run.send("", eof=True)
    assert run.wait().ok
    return [*came, *lines]


@pytest.mark.slow
@pytest.mark.parametrize("command", [*(one.tried for one in CURED), PIPELINE], ids=lambda words: words[0])
def test_lines_come_at_once(store: Store, command: Sequence[str]):
    """What a program makes of a line is in the log before it gets the next one, through pipelines as well."""
    assert [line.strip('"').split("\t")[-1] for line in give_back(store, command)] == LINES


@pytest.fixture(name="compiled", scope="module")
def compiled_fixture(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return a filter in C, once for each entry of the table that is of C programs."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "filter.c").write_text(FILTER)
    made = {}
    for number, (name, compiler) in enumerate(COMPILERS.items()):
        made[name] = str(folder / f"filter{number}")
        subprocess.run([*compiler, "-o", made[name], str(folder / "filter.c")], check=True)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILERS)
def test_c_programs_are_as_the_table_says(compiled: dict[str, str], name: str):
    """Of C programs the loader decides: one of musl does not start with glibc's library, as stdbuf shows."""
    [program] = [one for one in programs() if one.name == name]
    preloaded = environment(None, "id")
    set_line_buffered(preloaded, "cat", "/")

    assert (
        measure([compiled[name]], environment(None, "id")),
        measure([compiled[name]], preloaded),
        measure([compiled[name]], environment(None, "id"), terminal=True),
    ) == (program.pipe, program.line_buffered, program.tty)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C and C++ (`printf`, `cout`)", ""),
        ("C, linked statically", "it is linked statically; use its own switch if it has one"),
        ("C, linked against musl", "it is loaded by /lib/ld-musl"),
    ],
)
def test_what_it_cannot_act_on(compiled: dict[str, str], name: str, expected: str):
    """A program that cannot load the library runs as without it, and stderr says why, once."""
    code, out, err = cli("run", "--line-buffered", "-i", "--", compiled[name], input=b"hello\n")

    assert (code, out) == (0, b"hello\n")
    assert err.count("line_buffered cannot act on") == bool(expected)
    assert expected in err


@pytest.mark.slow
def test_in_every_way_to_start(store: Store):
    """A rerun has it as its first run had; without it nothing is loaded into any program."""
    preloaded = ["sh", "-c", "echo $_STDBUF_O"]
    first = store.start(preloaded, line_buffered=True)

    assert [first.output(), store.rerun(first).output(), store.start(preloaded).output()] == [
        "L\n",
        "L\n",
        "\n",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        (PRINT, "1", 8),
        (PRINT.replace("2)", "2, flush=True)"), "", 1),
        (f"import sys; sys.stdout.reconfigure(line_buffering=True, write_through=False); {PRINT}", "1", 1),
        (
            "import logging, sys; logging.basicConfig(stream=sys.stdout); logging.error('worker %s', 1)",
            "1",
            1,
        ),
    ],
)
def test_writes_of_a_print(tmp_path: Path, code: str, value: str, expected: int):
    """Python without a buffer writes each piece of a print by itself, with the exceptions in the docs."""
    trace = tmp_path / "trace"
    traced = ["strace", "-f", "-qq", "-e", "trace=write,writev", "-o", str(trace)]
    env = {**environment(None, "id"), "PYTHONUNBUFFERED": value}
    subprocess.run([*traced, sys.executable, "-c", code], env=env, check=True, stdout=subprocess.PIPE)

    assert (
        sum("write(1, " in line or "writev(1, " in line for line in trace.read_text().splitlines())
        == expected
    )


@pytest.mark.slow
def test_bars_of_rich_on_a_pipe(store: Store):
    """A bar of rich shows nothing on a pipe until it is full: stderr says that it has been advanced."""
    code = (
        "import sys; from rich.progress import Progress\n"
        "with Progress() as bars:\n"
        "    bar = bars.add_task('bar', total=2)\n"
        "    bars.advance(bar); bars.refresh()\n"
        "    print('half', file=sys.__stderr__, flush=True); input(); bars.advance(bar)\n"
    )
    run = store.start([sys.executable, "-c", code], stdin="pipe", timeout=DEADLINE)

    first = run.lines()
    assert next(first) == "half"
    run.send("\n", eof=True)
    assert run.wait().ok
    assert "100%" in run.output(channel="stdout")
    assert "50%" not in run.output()
