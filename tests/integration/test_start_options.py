"""One entry makes a start option: a made-up one is found wherever options are.

Two more edits would make it real: a key in `runcast.options.typed`, which the unit tests compare with
the table, and the code that acts on it. All else reads the table.
"""

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import runcast
from runcast import Store, aio
from runcast.client import AsyncClient, Client
from runcast.errors import UsageError
from runcast.options import OPTIONS
from runcast.server.config import load_config
from runcast.store import contents
from runcast.web.adapters.runcast_app import RuncastApp
from scripts import start_options as docs
from tests.helpers.cli import LONG, Done
from tests.helpers.servers import Server

ENTRY = """
from runcast.options import KEPT_OR_NULL, Option, add
from runcast.options.types import SECONDS
add(
    Option(
        "nap",
        SECONDS,
        "the time to sleep.",
        block=True,
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        body="nap",
        cli="Sleep so long: 90, 90s, 5m, 2h.",
    )
)
"""
APPLICATION = f"""{ENTRY}
from runcast import Store
from runcast.web.asgi import RunsASGI
app = RunsASGI(Store.open(), allow_any_command=True)
"""
VERB = f"{ENTRY}\nimport sys\nfrom runcast.cli import main\nsys.exit(main(sys.argv[1:]))"


@pytest.fixture(name="nap", autouse=True)
def nap_fixture() -> Iterator[None]:
    """Have the made-up option in the table."""
    contents._of_request.cache_clear()
    exec(ENTRY)
    yield
    del OPTIONS["nap"]
    contents._of_request.cache_clear()


@pytest.fixture(name="napping")
def napping_fixture(own_store: Path, tmp_path: Path) -> Iterator[Server]:
    """Serve the test's store from a process that has the option as well."""
    with Server(tmp_path, "uvicorn", APPLICATION) as server:
        yield server


def verb(*arguments: str) -> Done:
    """Run the command line with the option."""
    command = [sys.executable, "-c", VERB, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG, check=False)
    return Done(done.returncode, done.stdout, done.stderr.decode())


def naps(store: Store) -> list[object]:
    """Return what `run.json` of each run has, the oldest first."""
    return [run.request["nap"] for run in store.list()][::-1]


def begin_here(store: Store) -> None:
    store.start(["true"], nap=90)


def begin_anywhere(store: Store) -> None:
    runcast.start(["true"], nap="1m30s")


def begin_function(store: Store) -> None:
    store.start(lambda: None, nap="90")


def begin_async(store: Store) -> None:
    asyncio.run(aio.start(["true"], nap="1.5m"))


def begin_again(store: Store) -> None:
    store.rerun(store.start(["true"], nap=90))


def begin_block(store: Store) -> None:
    with runcast.attach("block", nap="90s"):
        pass


def begin_function_of_worker(store: Store) -> None:
    runcast.record(nap="90s")(lambda: None)()


def begin_in_application(store: Store) -> None:
    cast = RuncastApp(
        store=store, authorize=lambda *_: True, commands={"x": {"command": ["true"], "nap": "90s"}}
    )
    cast.start_command("x")
    cast.start(["true"], nap="90s")


def begin_configured(store: Store) -> None:
    path = Path(store.path).parent / "server.toml"
    path.write_text('[commands.x]\ncommand = ["true"]\nnap = "90s"\n')
    load_config(str(path)).commands["x"].start(store)


@pytest.mark.parametrize(
    "begin",
    [
        begin_here,
        begin_anywhere,
        begin_function,
        begin_async,
        begin_again,
        begin_block,
        begin_function_of_worker,
        begin_in_application,
        begin_configured,
    ],
)
def test_made_up_option_in_python(store: Store, tmp_path: Path, begin: Callable[[Store], None]):
    """Each way to start a run in Python takes it, reads its text and keeps it with the run."""
    begin(store)

    assert set(naps(store)) == {90.0}


@pytest.mark.parametrize("begin", [begin_here, begin_block, begin_in_application, begin_configured])
def test_made_up_option_is_unknown_without_its_entry(
    store: Store, tmp_path: Path, begin: Callable[..., None]
):
    """Where the table does not have it, nothing takes it."""
    entry = OPTIONS.pop("nap")
    try:
        with pytest.raises(UsageError, match="nap"):
            begin(store)
    finally:
        OPTIONS["nap"] = entry


@pytest.mark.slow
def test_made_up_option_on_the_command_line(store: Store):
    """`runcast run --help` lists it, and `--nap` has its effect; a value without a meaning is refused."""
    assert "--nap DURATION" in verb("run", "--help").out.decode()
    assert verb("run", "--nap", "1m30s", "true").code == 0
    assert verb("run", "--nap", "0", "true").err.startswith(
        "runcast: expected nap to be more than 0, got 0.0"
    )
    assert naps(store) == [90.0]


@pytest.mark.slow
def test_made_up_option_at_a_server(store: Store, napping: Server):
    """Both clients, `runcast run --server` and the body of `POST /runs` take it."""

    async def start_async() -> None:
        async with AsyncClient(napping.root) as client:
            await client.start(["true"], nap=90)

    connection = http.client.HTTPConnection("127.0.0.1", napping.port, timeout=LONG)
    headers = {"Content-Type": "application/json"}
    statuses = []
    for nap in (90, "90s"):
        connection.request("POST", "/runs", json.dumps({"command": ["true"], "nap": nap}), headers)
        answer = connection.getresponse()
        statuses.append((answer.status, b'expected \\"nap\\" as seconds' in answer.read()))
    connection.close()
    with Client(napping.root) as client:
        client.start(["true"], nap="1m30s")
    asyncio.run(start_async())
    assert verb("run", "--server", napping.root, "--nap", "90s", "true").code == 0

    assert statuses == [(201, False), (400, True)]
    assert naps(store) == [90.0] * 4


def test_made_up_option_is_described():
    """The description of the API and each page of the reference have its line."""
    made = {path.name: make(path.read_text(encoding="utf-8")) for path, make in docs.FILES.items()}

    assert (
        "| `nap` | `float \\| str \\| None` | `None` | all, `attach` | the time to sleep. |\n"
        in made["python.md"]
    )
    assert "| `nap` | seconds, more than 0 | the time to sleep. |\n" in made["http.md"]
    assert '| `nap` | seconds, or a string such as `"90s"`' in made["configuration.md"]
    assert "| `nap` | seconds or null | the time to sleep. |\n" in made["on-disk-format.md"]
    assert (
        '"nap": {"type": "number", "exclusiveMinimum": 0, "description": "The time to sleep."}'
        in (made["openapi.json"])
    )


def test_texts_in_python(store: Store):
    """Durations and sizes are written in Python as on the command line and in TOML."""
    run = store.start(["true"], timeout="5m", idle_timeout="1h30m", cap="64M")

    assert [run.request[name] for name in ("timeout", "idle_timeout", "cap")] == [300.0, 5400.0, 64 << 20]
    assert store.start(["true"], cap="none").request["cap"] is None
