"""`wait_for`: the first line with a text, from all four faces."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runcast import Channel, FoundLine, Run, Store, aio
from runcast.client import AsyncClient, Client
from runcast.errors import LineNotFound, UsageError, WaitTimeout
from tests.helpers.servers import Server
from tests.helpers.wait import MS

LONG = 20000 * MS
READY = (
    "echo starting; printf 'rea'; until test -e go; do sleep 0.02; done; echo 'dy on 8000'; exec sleep 1000"
)
Find = Callable[..., FoundLine]


@pytest.fixture(name="find", params=["Run", "AsyncRun", "RemoteRun", "AsyncRemoteRun"])
def find_fixture(
    request: pytest.FixtureRequest, own_store: Path, serving: Callable[[str, Path], Server]
) -> Find:
    """Wait for a line of a run with one of the faces."""

    def here(run: Run, text: str, **options: Any) -> FoundLine:
        return run.wait_for(text, **options)

    def awaited(run: Run, text: str, **options: Any) -> FoundLine:
        async def main() -> FoundLine:
            return await (await aio.get(run.id, store=str(own_store))).wait_for(text, **options)

        return asyncio.run(main())

    def there(run: Run, text: str, **options: Any) -> FoundLine:
        with Client(serving("uvicorn", own_store).root) as client:
            return client.get(run.id).wait_for(text, **options)

    def awaited_there(run: Run, text: str, **options: Any) -> FoundLine:
        async def main() -> FoundLine:
            async with AsyncClient(serving("uvicorn", own_store).root) as client:
                return await (await client.get(run.id)).wait_for(text, **options)

        return asyncio.run(main())

    faces = {"Run": here, "AsyncRun": awaited, "RemoteRun": there, "AsyncRemoteRun": awaited_there}
    return faces[request.param]


def test_before_and_after(store: Store, find: Find, tmp_path: Path):
    """A line that came before is found, and one that is yet to come, in pieces, when it is whole."""
    run = store.start(READY, shell=True, cwd=tmp_path)

    assert find(run, "start", timeout=LONG) == FoundLine("starting", 0, Channel.STDOUT)
    with pytest.raises(
        WaitTimeout, match=f"run {run.id} is still running after .* without a line with 'ready'"
    ):
        find(run, "ready", timeout=0.05)
    (tmp_path / "go").touch()
    assert find(run, r"on \d+$", regex=True, timeout=LONG) == FoundLine("ready on 8000", 9, Channel.STDOUT)


def test_ended_without(store: Store, find: Find):
    """The end of the run without such a line is an error of its own, which has what was searched."""
    run = store.start("echo out; echo ready >&2; printf last", shell=True)

    with pytest.raises(LineNotFound) as caught:
        find(run, "ready", channel="stdout")

    assert str(caught.value) == (
        f"expected a line with 'ready', run {run.id} is exited after 2 lines without it"
    )
    error = caught.value
    assert (error.run_id, error.state, error.expected, error.lines) == (run.id, "exited", "ready", 2)
    assert find(run, "ready").channel is Channel.STDERR


@pytest.mark.slow
def test_prompt(store: Store, find: Find):
    """A prompt, which has no line end, is found once it rests."""
    run = store.start("printf 'Password: '; exec sleep 1000", shell=True)

    assert find(run, "Password", timeout=LONG) == FoundLine("Password: ", 0, Channel.STDOUT)


@pytest.mark.parametrize(
    ("text", "regex", "sentence"),
    [
        (
            "a\nb",
            False,
            r"expected a text within one line, got one with a line end, which no line has: 'a\\nb'",
        ),
        ("", False, "got an empty one, which every line has"),
        ("a(", True, r"expected a regular expression, got 'a\(': missing \), unterminated subpattern"),
    ],
    ids=["line end", "empty", "expression"],
)
def test_refused(store: Store, find: Find, text: str, regex: bool, sentence: str):
    """A text that no line or every line holds is refused, as is what is no expression, in a sentence."""
    run = store.start(["true"])

    with pytest.raises(UsageError, match=sentence):
        find(run, text, regex=regex)


def test_of_a_progress_bar(store: Store):
    """A line that is drawn over without rest ends no timeout late."""
    run = store.start("while :; do printf '10%%\\r'; sleep 0.02; done", shell=True)

    with pytest.raises(WaitTimeout):
        run.wait_for("ready", timeout=0.1)
    run.kill()
