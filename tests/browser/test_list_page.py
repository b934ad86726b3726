"""The page with the commands and the list of runs."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, Serving, shows
from tests.helpers.cli import RUNCAST
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)


@pytest.fixture(name="named")
def named_fixture(browser: Browser, store: Store, tmp_path: Path, puppet: Puppet) -> Iterator[Person]:
    """Give somebody at a server that starts named commands only."""
    config = tmp_path / "server.toml"
    config.write_text(
        f"""
        [commands.build]
        command = {json.dumps(puppet.argv)}
        title = "Build the site"
        description = "Takes a minute."

        [commands.missing]
        command = ["no-such-program-anywhere"]
        """
    )
    with Serving("--config", config) as server, Person(browser, server) as person:
        yield person


def test_start_a_named_command(named: Person, puppet: Puppet):
    """A card tells what a command is; its button starts it and goes to its run, which has its title."""
    page = named.open()
    card = page.locator(".card").filter(has_text="Build the site")
    expect(card).to_contain_text("Takes a minute.")
    expect(card.locator("code")).to_contain_text(puppet.argv[-1])
    expect(page.locator("#any")).to_be_hidden()

    page.get_by_role("button", name="Start Build the site").click()
    page.wait_for_url(re.compile(r"/runs/\w+$"))
    puppet.say("working\n")
    shows(page, "working")
    expect(page.locator("#title")).to_have_text("Build the site")

    page.get_by_role("link", name="All runs").click()
    row = page.locator(".row")
    expect(row).to_contain_text("Build the site")
    expect(row.locator(".state")).to_have_text("running")
    puppet.exit(1)
    expect(row.locator(".state")).to_have_text("exit 1")


def test_no_program(named: Person):
    """A named command that is not there is a run that says so."""
    page = named.open()
    page.get_by_role("button", name="Start missing").click()

    expect(page.locator("#outcome")).to_contain_text("Could not be started")


def test_start_any_command(person: Person, store: Store):
    """Where it is allowed, a field takes any command; what a shell would be needed for is refused."""
    page = person.open()
    field = page.get_by_label("Any command")
    field.fill("echo one && echo two")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("&&")
    assert list(store.list()) == []

    field.fill("echo 'one  two'")
    field.press("Enter")
    page.wait_for_url(re.compile(r"/runs/\w+$"))
    shows(page, "one  two")


def test_nothing_to_start(browser: Browser, store: Store):
    """Without commands and runs the page says how to get some: a line that is pasted makes one."""
    with Serving() as server, Person(browser, server) as person:
        page = person.open()

        expect(page.locator("#empty")).to_contain_text("--config FILE")
        expect(page.locator("#start")).to_be_hidden()
        line = page.locator("#first").inner_text()
        assert line == f"runcast --store {store.path} run -- ping -c 3 localhost"
        pasted = line.replace("runcast", RUNCAST, 1).replace("ping -c 3 localhost", "echo here")
        subprocess.run(["sh", "-c", pasted], stdout=subprocess.DEVNULL, timeout=LONG, check=True)
        expect(page.locator(".row .name")).to_have_text("echo")
        expect(page.locator("#empty")).to_be_hidden()


def test_list_is_live(person: Person, store: Store, run: Run, puppet: Puppet):
    """Runs of any process come, change and go in the list, newest first, and each row stays itself."""
    page = person.open()
    first = page.locator(".row").first
    expect(first.locator(".state")).to_have_text("running")
    first.evaluate("(row) => { row.mark = true; row.querySelector('a').focus(); }")

    other = store.start(["sh", "-c", "exit 3"], name="other")
    expect(page.locator(".row .name")).to_have_text(["other", "puppet"])
    expect(page.locator(".row .state")).to_have_text(["exit 3", "running"])
    puppet.exit()
    expect(page.locator(".row .state")).to_have_text(["exit 3", "done"])
    kept = page.locator(f"[data-id='{run.id}']")
    assert kept.evaluate("(row) => row.mark && row.contains(document.activeElement)")

    store.remove(other)
    expect(page.locator(".row .name")).to_have_text(["puppet"])


def test_how_runs_ended(person: Person, store: Store):
    """Each ending has its word and its kind."""
    endings = {
        "done": ["true"],
        "exit 7": ["sh", "-c", "exit 7"],
        "SIGSEGV": ["sh", "-c", "kill -SEGV $$"],
        "not started": ["no-such-program-anywhere"],
    }
    for command in endings.values():
        store.start(command).wait(timeout=LONG)
    store.start(["sleep", "600"], timeout=0.01).wait(timeout=LONG)
    store.start(["sleep", "600"], idle_timeout=0.01).wait(timeout=LONG)
    stopped = store.start(["sleep", "600"])
    stopped.stop()
    stopped.wait(timeout=LONG)
    page = person.open()

    states = page.locator(".row .state")
    expect(states).to_have_text(["stopped", "fell silent", "timed out", *reversed(endings)])
    kinds = states.evaluate_all("all => all.map((one) => one.dataset.kind)")
    assert kinds == ["warn", "bad", "bad", "bad", "bad", "bad", "good"]


def test_row_leads_to_its_run(person: Person, store: Store):
    """A click anywhere on a row opens its run, as does Enter."""
    run = store.start(["echo", "hello"])
    page = person.open()
    page.locator(".row .meta").click(force=True)
    page.wait_for_url(f"**/runs/{run.id}")
    page.go_back()

    page.locator(".row a").press("Enter")
    page.wait_for_url(f"**/runs/{run.id}")


def test_narrow(named: Person, store: Store):
    """At 360 pixels nothing is cut off."""
    store.start(["echo", "a-very-long-word-" * 20], name="a-very-long-name-" * 8)
    page = named.open()
    page.set_viewport_size({"width": 360, "height": 640})
    expect(page.locator(".row")).to_have_count(1)

    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_one_connection(person: Person, store: Store, run: Run, puppet: Puppet):
    """The list of many runs is one connection, and so is a run's page."""
    for number in range(10):
        store.start(["true"], name=f"run {number}")
    streams: list[str] = []

    def note(asked: Request) -> None:
        if asked.resource_type == "eventsource":
            streams.append(asked.url)

    page = person.open()
    expect(page.locator("#link")).to_have_text("live")
    page.on("request", note)
    page.reload()
    expect(page.locator(".row")).to_have_count(11)
    # A look at the page lets the browser tell of its requests.
    wait_until(lambda: page.title() and len(streams) == 1, timeout=LONG, what="the stream of the list")

    page.goto(f"{person.server.root}/runs/{run.id}")
    puppet.say("one\n")
    shows(page, "one")
    assert len(streams) == 2
