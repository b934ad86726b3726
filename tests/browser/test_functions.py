"""What issue and article want most: a training loop, a shell inside, endless primes, watched by six."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, Page, expect

from runcast import Store
from tests.helpers.browser import LONG, Person, lines
from tests.helpers.servers import Server
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import Event, EventSource

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

APP = """
    import os, subprocess, sys, time
    from flask import Flask
    from tqdm import tqdm
    import runcast
    from runcast.web.flask import Runcast

    app = Flask(__name__)
    cast = Runcast(app, authorize=lambda verb, run, request: True)

    def train(epochs):
        for epoch in tqdm(range(epochs), mininterval=0):
            print(f"epoch {epoch}")
            runcast.progress(epoch + 1, epochs, f"epoch {epoch + 1} of {epochs}")
            while epoch == 4 and not os.path.exists("GO"):
                time.sleep(0.01)
        subprocess.run(["sh", "-c", "echo saved; echo warned >&2"], stdout=sys.stdout, stderr=sys.stderr)
        print("Done", end="")
        return epochs

    def primes():
        n = 2
        while True:
            if all(n % d for d in range(2, n)):
                yield n
            n += 1

    @app.get("/train")
    def training():
        return cast.stream(train, 10, key="the training")

    @app.get("/primes")
    def all_primes():
        return cast.stream(primes, key="the primes", ahead=4)
"""
PRIMES = [n for n in range(2, 600) if all(n % d for d in range(2, n))]


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Iterator[Server]:
    """Serve the application with two workers: half of the viewers are in another process."""
    code = APP.replace("GO", str(tmp_path / "go"))
    with Server(tmp_path, "gunicorn", code, workers=2) as server:
        yield server


@pytest.fixture
def pages(browser: Browser, site: Server) -> Iterator[list[Page]]:
    """Give the pages of two people, to be opened at the site."""
    place = SimpleNamespace(root=site.root, url=site.root)
    with Person(browser, place) as one, Person(browser, place) as other:
        yield [one.open("/runs"), other.open("/runs")]


def test_training(site: Server, pages: list[Page], tmp_path: Path):
    """Two curls, two event streams and two pages see a training loop live, and all of it to the last word."""
    with ThreadPoolExecutor(2) as pool:
        command = ["curl", "-sN", f"{site.root}/train"]
        curls = [pool.submit(subprocess.run, command, stdout=subprocess.PIPE, timeout=LONG) for _ in range(2)]
        try:
            streams = _watch(site, pages, tmp_path / "go")
        finally:
            (tmp_path / "go").touch()
        outputs = [curl.result().stdout for curl in curls]

    assert outputs[0] == outputs[1]
    assert b"saved\n" in outputs[0]
    assert b"warned" in outputs[0]
    for number in range(10):
        assert outputs[0].count(f"epoch {number}\n".encode()) == 1
    said = [[event for event in stream if event.type == "message"] for stream in streams]
    assert said[0] == said[1]  # progress is the latest of each moment
    outcome = json.loads(next(event.data for event in streams[0] if event.type == "exit"))["outcome"]
    assert (outcome["ok"], outcome["value"]) == (True, 10)
    for page in pages:
        expect(page.locator("#outcome")).to_contain_text("Finished with exit code 0")
        expect(page.locator("#progress-text")).to_have_text("epoch 10 of 10")
        wait_until(lambda page=page: "Done" in lines(page), timeout=LONG, what="the last word")


def _watch(site: Server, pages: list[Page], go: Path) -> list[list[Event]]:
    """Look at the two pages while it goes on, have it go on, and return what two event streams get."""
    for page in pages:
        page.goto(f"{site.root}/train")
    for page in pages:  # live: it waits in its fifth epoch
        expect(page.locator("#progress-text")).to_have_text("epoch 5 of 10")
        wait_until(lambda page=page: "epoch 4" in lines(page), timeout=LONG, what="the fifth epoch")
        expect(page.locator("#state")).to_have_text("running")
    with (
        site.stream("/train", Accept="text/event-stream") as first,
        site.stream("/train", Accept="text/event-stream") as second,
    ):
        go.touch()
        return [EventSource().read(reply.read()) for reply in (first, second)]


def test_endless_primes(site: Server, pages: list[Page], store: Store):
    """An endless generator is watched by six at their own pace, and rests when nobody does."""
    for page in pages:
        page.goto(f"{site.root}/primes")
    for page in pages:
        wait_until(lambda page=page: len(lines(page)) > 100, timeout=LONG, what="a hundred primes")
    seen: list[list[int]] = []
    for accept in ("*/*", "*/*", "text/event-stream", "text/event-stream"):
        request = urllib.request.Request(f"{site.root}/primes", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=LONG) as reply:
            numbers: list[int] = []
            while len(numbers) < 100:
                text = reply.readline().decode().strip().removeprefix("data: ")
                numbers += [int(text)] if text.isdigit() else []
            seen.append(numbers)
    for page in pages:
        page.goto("about:blank")

    assert seen == [PRIMES[:100]] * 4
    run = next(iter(store.list()))
    tails: list[int] = []

    def rests() -> bool:
        tails.append(run.tail_offset)
        return len(tails) > 20 and len(set(tails[-20:])) == 1

    wait_until(rests, timeout=LONG, what="a generator that rests")
    run.stop()
    assert run.wait(timeout=LONG).reason == "stopped"
