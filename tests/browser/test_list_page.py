"""The page with the commands and the list of runs."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, expect

from runcast import Run, Store
from runcast.model import Channel, Outcome, Reason
from tests.helpers.browser import LONG, Person, Puppet, Serving, shows
from tests.helpers.cli import RUNCAST
from tests.helpers.wait import wait_until
from tests.unit.runs import make_run

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
    """Runs come, change and go in the list, those that go on first, and each row stays itself."""
    page = person.open()
    first = page.locator(".row").first
    expect(first.locator(".state")).to_have_text("running")
    first.evaluate("(row) => { row.mark = true; row.querySelector('a').focus(); }")

    other = store.start(["sh", "-c", "exit 3"], name="other")
    expect(page.locator(".row .name")).to_have_text(["puppet", "other"])
    expect(page.locator(".row .state")).to_have_text(["running", "exit 3"])
    puppet.exit()
    expect(page.locator(".row .name")).to_have_text(["other", "puppet"])
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


def test_all_pages(person: Person, store: Store):
    """Links below the newest 50 lead to older ones and back, as do Back and Forward, with the filter kept."""
    names = ["odd", "even"]
    ids = [make_run(Path(store.path), name=names[number % 2]) for number in range(130)][::-1]
    page = person.open()

    def shown() -> list[str]:
        return page.locator(".row").evaluate_all("all => all.map((row) => row.dataset.id)")  # type: ignore[no-any-return]

    def has(expected: list[str]) -> None:
        wait_until(lambda: shown() == expected, timeout=LONG, what=f"rows from {expected[0]}")

    has(ids[:50])
    expect(page.get_by_role("link", name="Newer runs")).to_be_hidden()
    page.get_by_role("link", name="Older runs").click()
    expect(page).to_have_url(re.compile(f"before={ids[49]}$"))
    has(ids[50:100])
    page.get_by_role("link", name="Older runs").click()
    has(ids[100:])
    expect(page.get_by_role("link", name="Older runs")).to_be_hidden()
    page.go_back()
    has(ids[50:100])
    page.go_forward()
    has(ids[100:])
    page.get_by_role("link", name="Newer runs").click()
    has(ids[50:100])
    page.get_by_role("link", name="Newest runs").click()
    expect(page).to_have_url(f"{person.server.root}/runs")

    page.goto(f"{person.server.root}/runs?name=odd&ok=1")
    has(ids[1:101:2])
    page.get_by_role("link", name="Older runs").click()
    has(ids[101::2])
    expect(page.get_by_label("Name", exact=True)).to_have_value("odd")
    expect(page.locator("#narrowed")).to_contain_text("named “odd”, that went well")


def test_coming_back(person: Person, store: Store):
    """A list that one comes back to is where it was left; names have the bars of older runs, too."""
    for number in range(60):
        make_run(Path(store.path), name=f"job {number % 4}")
    page = person.open()
    expect(page.locator(".row")).to_have_count(50)
    expect(page.locator("#names li").first.locator("rect")).to_have_count(15)
    page.evaluate("scrollTo(0, 700)")
    page.locator(".row a").nth(12).click()
    page.wait_for_url(re.compile(r"/runs/\w+$"))
    page.go_back()
    expect(page.locator(".row")).to_have_count(50)
    wait_until(lambda: page.evaluate("scrollY") == 700, timeout=LONG, what="the place in the list")


def test_filters(person: Person, store: Store):
    """A name and a state in the form become the address; a list that is empty says why, and where to look."""
    for name, code in (("build", 0), ("build docs", 1), ("test", 2)):
        make_run(Path(store.path), name=name, outcome=Outcome(Reason.EXITED, code, ended_at=1_700_000_010.0))
    page = person.open()
    names = page.locator(".row .name")
    expect(names).to_have_text(["test", "build docs", "build"])

    page.get_by_label("State").select_option("failed or stopped")
    page.wait_for_url("**/runs?ok=0")
    expect(names).to_have_text(["test", "build docs"])
    page.get_by_label("Name", exact=True).fill("uild")
    page.get_by_label("Name", exact=True).press("Enter")
    page.wait_for_url("**/runs?name=uild&ok=0")
    expect(page.locator("#empty")).to_contain_text("No run named “uild”, that failed.")
    expect(page.locator("#first")).to_be_hidden()
    page.get_by_role("link", name="Runs with “uild” in their name").click()
    expect(names).to_have_text(["build docs", "build"])
    page.get_by_role("link", name="All runs").click()
    expect(names).to_have_count(3)

    page.goto(f"{person.server.root}/runs?state=nonsense")
    expect(page.get_by_role("alert")).to_contain_text("Expected state to be one of queued")


def test_what_goes_on(person: Person, store: Store, run: Run, puppet: Puppet):
    """A run that goes on is first, with its last line, count and progress, and stays when it ends."""
    for number in range(51):
        make_run(Path(store.path), name=f"old {number}")
    puppet.say("one\n\033[31mcompiling\033[0m \u202epart\x07 [ 40%]\n")
    page = person.open()
    row = page.locator(".row").first
    expect(row).to_have_attribute("data-id", run.id)
    expect(row.locator(".last")).to_have_text("compiling part [ 40%]")
    expect(row.locator(".size")).to_have_text("2 lines")
    expect(row.locator("progress")).to_have_js_property("value", 40)
    expect(row.locator(".far")).to_have_text("40 %")

    puppet.say("three\n")
    expect(row.locator(".last")).to_have_text("three")
    expect(row.locator(".size")).to_have_text("3 lines")
    expect(row.locator("progress")).to_be_hidden()
    puppet.exit(4)
    ended = page.locator(f"[data-id='{run.id}']")
    expect(ended.locator(".state")).to_have_text("exit 4")
    expect(ended.locator(".going")).to_be_hidden()
    expect(page.locator(".row").first).not_to_have_attribute("data-id", run.id)


def test_name_that_is_the_command(person: Person, store: Store):
    """Where the name of a run is its command, the row has it once."""
    store.start(["echo", "ps"], name="echo ps")
    page = person.open()

    expect(page.locator(".row .which")).to_have_text("echo ps")


def test_by_name(person: Person, store: Store):
    """Beside the list are the names, each with its last state and a picture of how long its runs took."""
    for code, end in ((0, 1.25), (0, 2.25), (1, 4.25)):
        outcome = Outcome(Reason.EXITED, code, ended_at=1_700_000_000.0 + end)
        run_id = make_run(Path(store.path), name="build", outcome=outcome)
    make_run(Path(store.path), name="test")
    page = person.open()
    item = page.locator("#names li").filter(has_text="build")
    expect(page.locator("#names a")).to_have_text(["test", "build"])
    expect(item.locator(".state")).to_have_text("exit 1")
    expect(item.locator(".took")).to_have_text("4.0 s")
    picture = item.get_by_role("img")
    expect(picture).to_have_accessible_name(
        "3 runs: 2 done, 1 exit 1. They took from 1.0 s to 4.0 s, mostly about 2.0 s."
    )
    heights = picture.locator("rect").evaluate_all("all => all.map((bar) => bar.height.baseVal.value)")
    assert heights == sorted(heights)
    assert heights[2] == pytest.approx(23)

    item.get_by_role("link").click()
    expect(page.locator(".row .name")).to_have_text(["build"] * 3)
    page.locator(".row a").first.click()
    page.wait_for_url(f"**/runs/{run_id}")


def test_runs_of_the_same_name(person: Person, store: Store):
    """The page of a run leads to the ones before and behind it of its name, and says how the last went."""
    ids = []
    for code, end in ((0, 2.35), (3, 1.25), (0, 1.25)):
        outcome = Outcome(Reason.EXITED, code, ended_at=1_700_000_000.0 + end)
        ids.append(make_run(Path(store.path), name="build", outcome=outcome))
        make_run(Path(store.path), name="other")
    page = person.open(f"/runs/{ids[1]}")
    expect(page.locator("#last-time")).to_have_text("Last time: ok, 2.1 s")
    page.get_by_role("link", name="Next run").click()
    page.wait_for_url(f"**/runs/{ids[2]}")
    expect(page.locator("#last-time")).to_have_text("Last time: exit 3, 1.0 s")
    expect(page.get_by_role("link", name="Next run")).to_be_hidden()
    page.get_by_role("link", name="Previous run").click()
    page.get_by_role("link", name="Previous run").click()
    page.wait_for_url(f"**/runs/{ids[0]}")
    expect(page.get_by_role("link", name="Previous run")).to_be_hidden()
    page.get_by_role("link", name="All of this name").click()
    expect(page.locator(".row .name")).to_have_text(["build"] * 3)


def test_search_all_runs(person: Person, store: Store):
    """The search finds lines in all runs; each leads to its place, and more of a run to a search in that."""
    out = Channel.STDOUT
    lines = b"".join(b"line %d\n" % number for number in range(1, 31))
    first = make_run(Path(store.path), name="first", appends=[(out, lines)])
    make_run(Path(store.path), name="second", appends=[(out, b"nothing\nLINE 20\n")])
    page = person.open()
    page.keyboard.press("/")
    page.keyboard.type("line 2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs?q=line+2")
    hits = page.locator("#hits-list > li")
    expect(hits.locator("h3 a")).to_have_text(["second", "first"])
    expect(page.locator("#hits-said")).to_have_text("11 lines of 2 runs, in 2 runs that were searched.")
    expect(page.locator("#list")).to_be_hidden()
    hits.nth(1).get_by_role("link", name="All lines of this run").click()
    page.wait_for_url(f"**/runs/{first}?q=line+2*")
    expect(page.locator("#find-count")).to_contain_text("11 lines")

    page.go_back()
    hits.nth(1).get_by_text("line 25").click()
    page.wait_for_url(f"**/runs/{first}#L25")
    expect(page.locator(".line.chosen")).to_contain_text("line 25")
    page.go_back()
    page.get_by_label("the case of letters counts").check()
    page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_url("**/runs?q=line+2&case=1")
    expect(hits.locator("h3 a")).to_have_text(["first"])

    page.goto(f"{person.server.root}/runs?q=a%5B&regex=1")
    expect(page.get_by_role("alert")).to_contain_text("unterminated character set at character 2")
    page.goto(f"{person.server.root}/runs?q=nowhere&name=second")
    expect(page.locator("#hits-said")).to_have_text("No line matches, in 1 run that was searched.")


def test_on_a_phone(named: Person, store: Store):
    """On a phone runs come before what can be started, and a row is as high as a finger needs."""
    for number in range(3):
        make_run(Path(store.path), name=f"run {number}")
    page = named.context.new_page()
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(named.server.url)
    row = page.locator(".row").first
    expect(row).to_be_in_viewport()
    expect(page.locator(".card").first).to_be_hidden()
    heights = page.locator(".row").evaluate_all("all => all.map((row) => row.offsetHeight)")
    assert min(heights) >= 44

    page.locator("summary").click()
    expect(page.locator(".card").first).to_be_in_viewport()
    page.reload()
    expect(page.locator(".card").first).to_be_in_viewport()


def test_whole_lines_in_cards(browser: Browser, store: Store, tmp_path: Path):
    """The command of a card is cut behind a line, and not in one."""
    config = tmp_path / "server.toml"
    config.write_text(f"[commands.long]\ncommand = {json.dumps(['echo', 'words and words ' * 40])}\n")
    with Serving("--config", config) as server, Person(browser, server) as person:
        page = person.open()
        what = page.locator(".card .what")
        expect(what).to_be_visible()
        rows = what.evaluate("(one) => one.clientHeight / parseFloat(getComputedStyle(one).lineHeight)")
        assert rows == pytest.approx(3, abs=0.1)
