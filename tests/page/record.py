"""Record what real programs write to a terminal of 80 columns and 24 rows, for the tests of the screen.

`python tests/page/record.py PYTHON [NAME ...]` writes `recordings/NAME.bin`. PYTHON is an interpreter of an
environment that has rich, tqdm, textual, prompt_toolkit, ipython, click and pytest; the other programs are
Debian's. As root, since apt installs something again and top is given a PID namespace of its own. Everything
happens in one folder, under names that say nothing about the machine.
"""

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

HERE = Path(__file__).parent / "recordings"
DEMO = Path("/tmp/demo")
QUIET = 0.7  # seconds without output, after which the next keys are typed
LONGEST = 120  # seconds of one recording

COMMIT = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "--allow-empty"]
LAYERS = """
import random, sys, time
random.seed(4)
names = ["a1b2c3", "d4e5f6", "0718a9", "b0c1d2", "e3f405"]
say = sys.stdout.write
say("v1: Pulling from library/demo\\n")
done = [0] * len(names)
say("".join(f"{name}: Pulling fs layer\\n" for name in names))
while min(done) < 40:
    at = random.choice([at for at, many in enumerate(done) if many < 40])
    done[at] += random.choice([3, 5, 8])
    up = len(names) - at
    bar = "=" * min(40, done[at]) + ">"
    word = f"Downloading [{bar:<41}] {done[at]}MB/40MB" if done[at] < 40 else "Pull complete"
    say(f"\\x1b[{up}A\\x1b[2K\\r{names[at]}: {word}\\r\\x1b[{up}B")
    sys.stdout.flush()
say("Digest: sha256:0000\\nStatus: Downloaded newer image for demo:v1\\n")
"""
RICH = """
import time
from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn
from rich.table import Table
with Progress(SpinnerColumn(), *Progress.get_default_columns(), refresh_per_second=30) as progress:
    tasks = [progress.add_task(f"[red]Part {number}", total=40) for number in range(4)]
    for step in range(45):
        for number, task in enumerate(tasks):
            progress.advance(task, number % 3 + 1)
        if step % 12 == 0:
            progress.console.print(f"step [bold]{step}[/] :snake: \\u65e5\\u672c\\u8a9e")
        time.sleep(0.02)
table = Table("Name", "State")
with Live(table, refresh_per_second=30):
    for number in range(12):
        table.add_row(f"row {number}", "[green]done" if number % 2 else "[yellow]late")
        time.sleep(0.04)
"""
TQDM = """
import time
from tqdm import tqdm, trange
for outer in trange(3, desc="outer"):
    for inner in trange(20, desc=f"inner {outer}", leave=outer == 1):
        time.sleep(0.01)
    tqdm.write(f"finished {outer}")
bars = [tqdm(total=30, desc=f"worker {number}", position=number) for number in range(4)]
for step in range(30):
    for bar in bars:
        bar.update()
    time.sleep(0.02)
for bar in bars:
    bar.close()
"""
TEXTUAL = """
from textual.app import App
from textual.widgets import DataTable, Footer, Header, Input
class Demo(App):
    BINDINGS = [("q", "quit", "Quit"), ("d", "toggle_dark", "Dark")]
    def compose(self):
        yield Header()
        yield Input(placeholder="filter")
        yield DataTable()
        yield Footer()
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("Lane", "Swimmer", "Country", "Time")
        for lane in range(40):
            country = "\\u65e5\\u672c" if lane % 3 else "Kenya"
            table.add_row(lane, f"Swimmer {lane}", country, f"{50 + lane / 10:.2f}")
        table.focus()
Demo().run()
print("after")
"""
PROMPT = """
from prompt_toolkit import prompt
from prompt_toolkit.completion import WordCompleter
words = WordCompleter(["select", "insert", "update", "delete", "drop", "describe"])
print(prompt("sql> ", completer=words, complete_while_typing=True, bottom_toolbar="a toolbar"))
"""
CLICK = """
import time, click
with click.progressbar(range(40), label="Files") as bar:
    for _ in bar:
        time.sleep(0.01)
click.secho("done", fg="green", bold=True)
"""
TESTS = """
import pytest
@pytest.mark.parametrize("number", range(30))
def test_number(number):
    assert number % 9 != 8, "a multiple"
def test_error():
    raise ValueError("no")
"""
MAIN = """
fn main() { let x: u32 = "1"; println!("{}", x); }
"""
GAUGE = "for n in $(seq 0 10 100); do echo $n; done | dialog --gauge 'Copying' 8 50; clear; echo done"
TMUX = (
    "tmux -L demo -f /dev/null new-session -x 80 -y 24 'PS1=\"$ \" exec sh'"
    " \\; split-window -h 'PS1=\"$ \" exec sh'"
)


def programs(python: str) -> dict[str, tuple[list[str], list[bytes]]]:
    """Return the programs by the name of their recording: the command, and what is typed, in turn."""
    own = ["unshare", "--pid", "--fork", "--mount-proc"]
    return {
        "apt": (["apt", "reinstall", "-y", "nano", "dialog", "whiptail"], []),
        "cargo": (["cargo", "build", "--manifest-path", "crate/Cargo.toml"], []),
        "click": ([python, "click_bar.py"], []),
        "curl": (["curl", "-o", "/dev/null", "file:///tmp/demo/large"], []),
        "dialog": (["sh", "-c", GAUGE], []),
        "docker": ([python, "layers.py"], []),
        "git-clone": (["git", "clone", "--progress", "file:///tmp/demo/repository", "copy"], []),
        "git-log": (["git", "-C", "repository", "log", "--graph"], [b" ", b"j", b"b", b"/step 3\r", b"q"]),
        "htop": ([*own, "htop", "-d", "20"], [b"\x1bOB", b"t", b"q"]),
        "ipython": (
            [python, "-m", "IPython", "--no-banner"],
            [
                b"",
                b"1 + 1\r",
                b"def f(x):\r",
                b"return x\r",
                b"\r",
                b"import os\r",
                b"os.pa\t",
                b"\x03",
                b"\x03",
                b"exit()\r",
            ],
        ),
        "less": (["less", "text"], [b" ", b"k", b"/line 7\r", b"n", b"G", b"g", b"u", b"q"]),
        "ls": (["ls", "--color=auto", "-C", "/usr/lib/python3.11"], []),
        "man": (["man", "true"], [b" ", b"q"]),
        "nano": (
            ["nano", "--ignorercfiles", "text"],
            [b"hello ", b"\x16", b"\x0b\x0b", b"\x15", b"\x18", b"n"],
        ),
        "npm": (
            [
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--prefix",
                "package",
                "is-odd",
                "left-pad",
                "chalk",
            ],
            [],
        ),
        "pip": ([python, "-m", "pip", "download", "--no-cache-dir", "--no-deps", "-d", "wheels", "mypy"], []),
        "prompt_toolkit": ([python, "ask.py"], [b"se", b"\t", b" d", b"\t\t", b"\r", b"\r"]),
        "pytest": ([python, "-m", "pytest", "-p", "no:cacheprovider", "-v", "test_demo.py"], []),
        "rich": ([python, "bars.py"], []),
        "textual": ([python, "app.py"], [b"\x1b[B\x1b[B", b"\x1b[6~", b"d", b"q"]),
        "tmux": (["sh", "-c", TMUX], [b"seq 30\r", b"\x02o", b"ls\r", b"\x02z", b"exit\r", b"exit\r"]),
        "top": ([*own, "top", "-d", "2"], [b"1", b"c", b"q"]),
        "tqdm": ([python, "nested.py"], []),
        "vim": (
            ["vim", "-u", "NONE", "-N", "-c", "syntax on", "code.py"],
            [
                b"\x06",
                b"\x02",
                b"dd",
                b"p",
                b"ihello \x1b",
                b"/return\r",
                b":split\r",
                b"\x17w\x04",
                b"\x19\x05",
                b"yyP",
                b":q!\r",
                b":q!\r",
            ],
        ),
        "watch": (["watch", "-n", "1", "--color", "seq 5; date +%S"], [b"", b"", b"\x03"]),
        "whiptail": (
            ["whiptail", "--menu", "Choose", "15", "50", "6", "1", "one", "2", "two", "3", "three"],
            [b"\x1bOB", b"\t", b"\r"],
        ),
    }


def prepare(python: str) -> None:
    """Make what the programs work on."""
    shutil.rmtree(DEMO, ignore_errors=True)
    (DEMO / "crate/src").mkdir(parents=True)
    (DEMO / "package").mkdir()
    files = {
        "layers.py": LAYERS,
        "bars.py": RICH,
        "nested.py": TQDM,
        "app.py": TEXTUAL,
        "ask.py": PROMPT,
        "click_bar.py": CLICK,
        "test_demo.py": TESTS,
        "crate/src/main.rs": MAIN,
        "crate/Cargo.toml": '[package]\nname = "demo"\nversion = "0.1.0"\n',
        "package/package.json": "{}",
        "text": "".join(f"line {number} of a text\t{number:b}\t\u65e5\u672c\n" for number in range(200)),
        "code.py": "".join(
            f"def f{number}(x):\n\t# some code\n    return {number} * x\n\n" for number in range(30)
        ),
        "large": "x" * 30_000_000,
    }
    for name, text in files.items():
        (DEMO / name).write_text(text)
    git = ["git", "-C", str(DEMO / "repository")]
    subprocess.run(["git", "init", "-q", "-b", "main", str(DEMO / "repository")], check=True)
    for number in range(40):
        (DEMO / f"repository/{number}").write_text(str(number) * 5000)
        subprocess.run([*git, "add", "."], check=True)
        date = {
            "GIT_AUTHOR_DATE": f"2026-01-01T00:{number:02}:00Z",
            "GIT_COMMITTER_DATE": "2026-01-01T01:00:00Z",
        }
        subprocess.run([*git, *COMMIT, "-m", f"Take step {number}"], check=True, env=os.environ | date)


def record(argv: list[str], keys: list[bytes]) -> bytes:
    """Return what a command writes to its terminal, while keys are typed whenever it is silent."""
    home = {"HOME": str(DEMO / "home"), "CARGO_HOME": str(DEMO / "cargo"), "RUSTUP_HOME": "/root/.rustup"}
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CI", "PIP_FIND", "LESS"))
    }
    environment = (
        inherited
        | home
        | {
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "LESSHISTFILE": "-",
            "MANPAGER": "less",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "IPYTHONDIR": str(DEMO / "ipython"),
            "USER": "ada",
            "COLORTERM": "truecolor",
            "LS_COLORS": "di=01;34:ln=01;36:*.py=38;5;208",
            "COLUMNS": "80",
            "LINES": "24",
        }
    )
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(DEMO)
        time.sleep(0.1)  # until the size is set
        os.execvpe(argv[0], argv, environment)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    keys, written, end = list(keys), bytearray(), time.monotonic() + LONGEST
    while time.monotonic() < end:
        quiet = QUIET if keys and written else 1
        if select.select([fd], [], [], quiet)[0]:
            try:
                written += os.read(fd, 65536)
            except OSError:
                break
        elif keys and written:
            os.write(fd, keys.pop(0))
    else:
        raise SystemExit(f"{argv}: not over after {LONGEST} s")
    os.close(fd)
    os.waitpid(pid, 0)
    return bytes(written)


def main(python: str, *names: str) -> None:
    """Record these programs, or all."""
    prepare(python)
    host = os.uname().nodename.encode()
    for name, (argv, keys) in programs(python).items():
        if names and name not in names:
            continue
        data = record(argv, keys).replace(host, b"machine")
        (HERE / f"{name}.bin").write_bytes(data)
        print(f"{name:16} {len(data):8} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
