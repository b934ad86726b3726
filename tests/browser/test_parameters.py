"""The form of a command's parameters: what can be chosen, what an address fills in, what comes of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from runcast import Store
from tests.helpers.axe import violations
from tests.helpers.browser import LONG, Person, Serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

FILE = """
[commands.show]
title = "Show it"
command = ["printf", "%s|", "{count}", "{force}", "--", "{target}", "{colour}"]
[commands.show.params.target]
title = "Where to"
help = "A word in small letters."
pattern = "[a-z ]+"
[commands.show.params.count]
type = "int"
min = 1
max = 9
default = 3
[commands.show.params.colour]
type = "choice"
choices = ["red", "green"]
required = false
[commands.show.params.force]
type = "flag"
option = "--force"
[commands.count]
command = ["sh", "-c", "echo ${1##*/}; cat $1", "sh", "{data}"]
[commands.count.params.data]
type = "file"
title = "A table"
accept = [".csv"]
[commands.pick]
command = ["echo", "{target}", "{words}"]
[commands.pick.params.target]
type = "choice"
choices = ["staging", "production"]
default = "staging"
[commands.pick.params.words]
default = "as ever"
[commands.login]
command = ["sh", "-c", "echo as $1", "sh", "{password}"]
[commands.login.params.password]
type = "secret"
"""


@pytest.fixture(name="person")
def person_fixture(browser: Browser, store: Store, tmp_path: Path) -> Iterator[Person]:
    """Give somebody at a server with one command that has parameters."""
    config = tmp_path / "server.toml"
    config.write_text(FILE)
    with Serving("--config", config) as server, Person(browser, server) as person:
        yield person


def test_chosen(person: Person, store: Store):
    """The card opens a form; what is chosen there is what the command gets, and its run offers it again."""
    page = person.open()
    page.get_by_role("button", name="Start Show it").click()
    form = page.get_by_role("dialog", name="Start Show it")
    expect(form.get_by_label("count")).to_have_value("3")
    assert violations(page) == []
    form.get_by_label("Where to").fill("over there")
    form.get_by_label("colour").select_option("green")
    form.get_by_label("force").check()
    form.get_by_role("button", name="Start").click()

    page.wait_for_url(re.compile(r"/runs/\w+$"))
    expect(page.locator("#lines-here")).to_contain_text("3|--force|--|over there|green|")
    page.get_by_role("link", name="Other values").click()
    expect(form.get_by_label("Where to")).to_have_value("over there")
    expect(form.get_by_label("colour")).to_have_value("green")
    expect(form.get_by_label("force")).to_be_checked()
    assert len(list(store.ids())) == 1


def test_defaults(person: Person):
    """No choice is offered that would silently be the default; an empty field shows what counts then."""
    page = person.open("/runs?start=pick&p.target=prod")
    form = page.get_by_role("dialog")
    expect(form.get_by_label("target")).to_have_value("staging")
    expect(form.get_by_label("target").locator("option")).to_have_text(["staging", "production"])
    words = form.get_by_label("words")
    words.fill("")
    expect(words).to_have_attribute("placeholder", "as ever")
    form.get_by_role("button", name="Start").click()

    page.wait_for_url(re.compile(r"/runs/\w+$"))
    expect(page.locator("#lines-here")).to_contain_text("staging as ever")


def test_refused_by_a_proxy(person: Person):
    """A file that a proxy refuses by its size, as nginx does, is said to be refused by a proxy."""
    page = person.open("/runs?start=count")
    page.route(
        "**/runs", lambda route: route.fulfill(status=413, content_type="text/html", body="<html></html>")
    )
    form = page.get_by_role("dialog")
    form.get_by_label("A table").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": b"1,2"})
    form.get_by_role("button", name="Start").click()

    expect(form.get_by_role("alert")).to_have_text(
        "A proxy before the server takes nothing of this size (413)."
    )


def test_refused(person: Person, store: Store):
    """What does not fit is said in the form, which stays as it was; nothing is started."""
    page = person.open("/runs?start=show&p.target=LOUD&p.count=7")
    form = page.get_by_role("dialog")
    expect(form.get_by_label("count")).to_have_value("7")
    form.get_by_role("button", name="Start").click()

    expect(form.get_by_role("alert")).to_have_text(
        "Expected target as a text that matches [a-z ]+, got 'LOUD'."
    )
    expect(form.get_by_label("Where to")).to_have_value("LOUD")
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    assert not list(store.ids())


def test_address(person: Person, store: Store):
    """An address opens the form, and starts nothing; one that names no command opens none."""
    page = person.open("/runs?start=nope&p.target=x")
    expect(page.get_by_role("button", name="Start Show it")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not list(store.ids())


def test_secret(person: Person):
    """A secret is typed unseen, stands in no address, and is asked for anew for another start."""
    page = person.open("/runs?start=login&p.password=from-an-address")
    field = page.get_by_role("dialog").get_by_label("password")
    expect(field).to_have_value("")
    assert field.get_attribute("type") == "password"
    field.fill("open-sesame")
    page.get_by_role("dialog").get_by_role("button", name="Start").click()

    page.wait_for_url(re.compile(r"/runs/\w+$"))
    expect(page.locator("#lines-here")).to_contain_text("as ***")
    assert "sesame" not in page.content()
    page.get_by_role("link", name="Other values").click()
    page.wait_for_url(re.compile(r"start=login$"))
    expect(field).to_have_value("")


def test_file(person: Person, store: Store, tmp_path: Path):
    """A file is chosen in the form and goes into the run; what does not fit is said there."""
    (tmp_path / "a <b>.csv").write_text("1,2,3\n")
    (tmp_path / "a.exe").write_text("x")
    page = person.open()
    page.get_by_role("button", name="Start count").click()
    form = page.get_by_role("dialog", name="Start count")
    chooser = form.get_by_label("A table")
    expect(chooser).to_have_attribute("accept", ".csv")
    chooser.set_input_files(tmp_path / "a.exe")
    form.get_by_role("button", name="Start").click()
    expect(form.get_by_role("alert")).to_contain_text("ends with .csv")
    chooser.set_input_files(tmp_path / "a <b>.csv")
    form.get_by_role("button", name="Start").click()

    expect(page.locator(".line")).to_contain_text(["data.csv", "1,2,3"])
    [run] = store.list()
    assert run.params == {"data": "a <b>.csv"}
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda url: run.id not in url)
    expect(page.locator(".line")).to_contain_text(["data.csv", "1,2,3"])
