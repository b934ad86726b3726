"""`ssh://HOST/`: runs of a machine that ssh reaches, by a real ssh and a real sshd."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Store
from runcast.client import AsyncClient, Client
from runcast.errors import AccessRefused, ServerUnreachable, UsageError
from tests.helpers.cli import cli, cli_begun, terminal
from tests.helpers.ssh import NAME, Machine, machine
from tests.helpers.wait import MS, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.fault]

LONG = 20000 * MS
ECHOES = """
import sys
print("begun", flush=True)
for number, line in enumerate(sys.stdin):
    print("x" * 1000, number, line, end="", flush=True)
"""


@pytest.fixture(name="there")
def there_fixture(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Give a machine whose store is the test's; the commands of the test have another by themselves."""
    with machine(tmp_path, store.path, monkeypatch) as found:
        monkeypatch.setenv("RUNCAST_STORE", str(tmp_path / "here"))
        monkeypatch.setenv("RUNCAST_SERVER", found.url)
        yield found


def test_run(there: Machine, store: Store):
    """A command runs there with the stdin of here; channels and exit code are as if it ran here."""
    done = cli("run", "-i", "--", "sh", "-c", "cat; echo bad >&2; exit 3", input=b"given\n")

    (run,) = store.list()
    assert done == (3, b"given\n", "bad\n")
    assert run.started_by is not None
    assert run.started_by.kind == "command line"
    wait_until(lambda: not there.pids("bridges"), timeout=LONG, what="the end of the bridge")


def test_comes_back(there: Machine, store: Store):
    """Whatever ends in the middle, or falls asleep, a reader comes back and has each byte once."""
    run = store.start(["python3", "-c", ECHOES], stdin="pipe")
    with Client(patience=max(4.0, 2000 * MS)) as client:
        lines = client.get(run.id).lines()
        seen = [next(lines)]
        for what in ("ssh", "bridge", "network", "sleep", "end"):
            run.send("1\n" * 10)
            seen += [next(lines) for _ in range(10)]
            if what == "sleep":
                client.get(run.id)  # whose connection is idle then, and asleep as well
            run.send("meanwhile\n", eof=what == "end")
            match what:
                case "ssh":
                    there.end("clients", signal.SIGKILL)
                case "bridge":
                    there.end("bridges", signal.SIGKILL)
                case "network":
                    for child in _children(there.pids("clients")):
                        os.kill(child, signal.SIGKILL)
                case "sleep":
                    there.end("clients", signal.SIGSTOP)
        seen += list(lines)

    assert len(seen) == 1 + 5 * 11
    assert "\n".join(map(str, seen)) + "\n" == run.output()


def _children(pids: list[int]) -> list[int]:
    found = [Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for pid in pids]
    return [int(child) for children in found for child in children]


def test_ctrl_c(there: Machine, store: Store):
    """Ctrl-C at the terminal, which ssh gets as well, stops the run there: ssh lives to pass it on."""
    script = "trap 'echo stopping; exit 0' INT; echo ready; while :; do sleep 0.05; done"
    with cli_begun("run", "--", "sh", "-c", script, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == b"stopping\n"
        assert process.wait(LONG) == 130
    connections = len((there.folder / "clients").read_text().split()) / 2  # each begins with `ssh -G`
    assert connections <= 2, "one to follow, one to stop, none in the place of another"
    (run,) = store.list()
    assert run.wait(timeout=LONG).reason == "stopped"


def test_terminal(there: Machine):
    """`run -it` gives a program there this terminal: its size, its keys, its exit code."""
    script = 'stty size; read line; echo "got $line"; exit 7'
    with terminal("run", "-it", "--", "sh", "-c", script, columns=101) as screen:
        screen.until("24 101\n")
        screen.type("a word\r")
        screen.until("got a word\n")
        assert screen.end() == 7


def test_prompts(there: Machine, store: Store):
    """ssh asks about the host and for a passphrase at the terminal, and Ctrl-C there ends nothing but us."""
    store.start(["echo", "here"], name="seen").wait()
    there.configure("  BatchMode no\n  StrictHostKeyChecking ask")
    key = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", there.folder / "key"]
    subprocess.run(key, check=True)
    with terminal("ls") as screen:
        screen.until("(yes/no/[fingerprint])?")
        screen.type("yes\r")
        screen.until("Enter passphrase for key")
        screen.type("a passphrase\r")
        screen.until("seen")
        assert screen.end() == 0
    with terminal("ls") as screen:
        screen.until("Enter passphrase for key")
        screen.type("\x03")
        assert screen.end() == 130


def test_push(there: Machine):
    """Output is pushed there, and followed by its address; a link for a browser is refused."""
    pushed = cli("push", there.url, input=b"pushed\n")
    assert (pushed.code, pushed.out) == (0, b"")
    address = pushed.err.split()[-1]
    assert address.startswith(f"ssh://{NAME}/runs/")
    assert cli("follow", f"{address}?runcast={there.program}").out == b"pushed\n"
    shared = cli("share", "last")
    assert shared.code == 2
    assert "expected a server that a browser can reach" in shared.err


def test_async(there: Machine):
    """An awaited client has the same, several followers at once, and comes back as well."""

    begun = asyncio.Barrier(2)

    async def read(client: AsyncClient, number: int) -> list[str | None]:
        run = await client.start(["sh", "-c", f"echo {number}; read line; echo $line"], stdin="pipe")
        seen = []
        async for line in run.lines():
            seen.append(line)
            if len(seen) == 1:
                await begun.wait()
                if number == 0:
                    there.end("bridges", signal.SIGKILL)
                await begun.wait()
                await run.send("more\n")
        return seen

    async def read_both() -> list[list[str | None]]:
        async with AsyncClient() as client:
            return await asyncio.gather(*(read(client, number) for number in range(2)))

    assert asyncio.run(read_both()) == [["0", "more"], ["1", "more"]]


def test_key_for_some_commands(there: Machine, store: Store):
    """A bridge with a file, as a key's forced command has it, starts the commands of that file only."""
    file = there.folder / "server.toml"
    file.write_text('[commands.greet]\ncommand = ["echo", "hello"]\n')
    there.write_program(f"RUNCAST_STORE={store.path} exec $RUNCAST bridge --config {file}")

    with Client() as client:
        assert client.start(name="greet").output() == "hello\n"
        with pytest.raises(AccessRefused, match="this server starts no others"):
            client.start(["id"])


REFUSED = {
    "no-program": ("rm $0; exec $0", "its shell finds none"),
    "older": ("exec $RUNCAST briidge", "got 'briidge'"),
    "newer": ("echo runcast bridge 9 3.0.0", "got runcast bridge 9 3.0.0: install the same version"),
    "another": ("echo Welcome", "it ended without a word of the bridge, got b'Welcome"),
    "endless": ("exec yes", "have the start-up files of the shell there print nothing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(there: Machine, case: str):
    """What is wrong on the other side is said in a sentence, with what to do."""
    script, says = REFUSED[case]
    there.write_program(script)

    with Client() as client, pytest.raises(ServerUnreachable) as raised:
        client.commands()

    assert says in str(raised.value)


def test_login_refused(there: Machine):
    """A login that is refused is not tried again, and ssh's own words are shown."""
    (there.folder / "key.pub").write_text("")
    began = time.monotonic()

    with Client() as client, pytest.raises(ServerUnreachable, match=r"ssh failed: .*Permission denied"):
        client.get("01jd0000000000000000000000")

    assert len((there.folder / "clients").read_text().split()) == 2, "ssh -G, and one login"
    assert time.monotonic() - began < 60


def test_no_ssh(there: Machine, monkeypatch: pytest.MonkeyPatch):
    """Without ssh the package that has it is named."""
    monkeypatch.setenv("PATH", "/nonexistent")

    with Client() as client, pytest.raises(ServerUnreachable, match="install openssh-client"):
        client.commands()


@pytest.mark.parametrize(
    "url", ["ssh://far/srv/runs", "ssh://", "ssh://far:0/", "ssh://user@/", "ssh://a;b/", "ssh://$(id)/"]
)
def test_no_address(url: str):
    """Another path, no host, and what a shell would read otherwise are refused before anything is started."""
    with pytest.raises(UsageError, match=r"expected (an|the) address"):
        Client(url)


def test_endless_words(there: Machine, store: Store):
    """What the other side writes to stderr takes no memory here, however much it is; its end is shown."""
    much = "head -c 30000000 /dev/zero | tr '\\0' x >&2"
    there.write_program(f'{much}\nRUNCAST_STORE={store.path} exec $RUNCAST "$@"')
    with Client() as client:
        client.commands()
        kept = [os.stat(fd).st_size for fd in Path("/proc/self/fd").iterdir() if "memfd:" in _target(fd)]
        assert max(kept, default=0) < 10_000_000

    there.write_program(f"{much}\necho the end >&2\nexit 3")
    with Client() as client, pytest.raises(ServerUnreachable, match=r"exit code 3: …x+the end$"):
        client.commands()


def _target(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:  # it was that of the listing
        return ""


def test_heeds_no_end(there: Machine):
    """An ssh does not stay behind that waits for a program there which does not end by itself."""
    there.write_program("exec sleep 100")
    with cli_begun("ls") as process:
        wait_until(lambda: there.pids("bridges"), timeout=LONG, what="the program there")
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == 130

    wait_until(lambda: not there.pids("clients"), timeout=LONG / 4, what="the end of ssh")
