"""What the browser tests share: one browser a module, a server and a person for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from runcast import Run, Store
from tests.helpers.browser import Person, Puppet, Serving, launched


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Browser]:
    """Give the browser of a module."""
    with launched() as browser:
        yield browser


@pytest.fixture(name="server")
def server_fixture(store: Store) -> Iterator[Serving]:
    """Give a server that may start anything, in the test's own store."""
    with Serving("--allow-any-command") as server:
        yield server


@pytest.fixture(name="person")
def person_fixture(browser: Browser, server: Serving) -> Iterator[Person]:
    """Give somebody at a browser; what no page may do fails the test."""
    with Person(browser, server) as person:
        yield person


@pytest.fixture(name="puppet")
def puppet_fixture(tmp_path: Path) -> Iterator[Puppet]:
    """Give a program that writes what it is told."""
    puppet = Puppet(tmp_path / "puppet")
    yield puppet
    puppet.close()


@pytest.fixture(name="run")
def run_fixture(store: Store, puppet: Puppet) -> Run:
    """Give a run of the puppet."""
    return store.start(puppet.argv, name="puppet")


@pytest.fixture(name="start")
def start_fixture(store: Store) -> Callable[[str], Run]:
    """Give a function that starts a script of bash."""
    return lambda script: store.start(["bash", "-c", script], name="script")
