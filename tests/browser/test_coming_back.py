"""Pages stay up to date through killed servers, bad proxies and more tabs than a browser has connections."""

import re
import urllib.request
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Proxy, Puppet, Serving, lines, shows
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.fault]
expect.set_options(timeout=LONG * 1000)

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event("visibilitychange"));
}"""
RECONNECTING = re.compile("reconnecting")


@pytest.fixture(name="proxy")
def proxy_fixture(server: Serving) -> Iterator[Proxy]:
    """Give a proxy in front of the server."""
    with Proxy(server.root) as proxy:
        yield proxy


def viewers(server: Serving) -> int:
    """Return how many live replies the server has now."""
    token = parse_qs(urlsplit(server.url).query)["token"][0]
    request = urllib.request.Request(f"{server.root}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=LONG) as reply:
        found = re.findall(rb"^runcast_viewers{.*} (\d+)", reply.read(), re.MULTILINE)
    assert found
    return sum(map(int, found))


def test_server_killed_and_restarted(person: Person, server: Serving, run: Run, puppet: Puppet):
    """Killed in mid-line and restarted: the page says that it is away, then has every line once."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("one\ntwo and ")
    shows(page, "one", "two and ")

    server.kill()
    expect(page.locator("#link")).to_have_text(RECONNECTING)
    expect(page.locator("#outcome")).to_contain_text("As of ")  # and says since when it does not know more
    puppet.say("a half\nthree\n")
    puppet.say("err\n", fd=2)
    server.start()

    shows(page, "one", "two and a half", "three", "err")
    expect(page.locator("#link")).to_have_text("live")
    puppet.say("four\n")
    puppet.exit()
    shows(page, "one", "two and a half", "three", "err", "four")
    expect(page.locator("#outcome")).to_have_text(re.compile("Finished with exit code 0"))


def test_server_killed_when_the_run_ends(person: Person, server: Serving, run: Run, puppet: Puppet):
    """A run that ends while the server is away is told with its last words and its end."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("one\n")
    shows(page, "one")

    server.kill()
    puppet.say("last words\n")
    puppet.exit(4)
    run.wait(timeout=LONG)
    server.start()

    expect(page.locator("#outcome")).to_have_text(re.compile("Failed with exit code 4"))
    shows(page, "one", "last words")


def test_server_restarted_again_and_again(person: Person, server: Serving, run: Run, puppet: Puppet):
    """Five kills with output in between, and every line is there once."""
    page = person.open(f"/runs/{run.id}")
    said = []
    for number in range(5):
        said += [f"{number} before", f"{number} after"]
        puppet.say(f"{number} before\n")
        shows(page, *said[:-1])
        server.kill()
        puppet.say(f"{number} after\n")
        server.start()
        shows(page, *said)


def test_bad_gateway(person: Person, proxy: Proxy, run: Run, puppet: Puppet):
    """A proxy that answers 502 for a while costs nothing but the while; a reload is not needed."""
    page = person.open(f"/runs/{run.id}", proxy.root)
    puppet.say("one\n")
    shows(page, "one")

    proxy.turn("bad gateway")
    expect(page.locator("#link")).to_have_text(RECONNECTING)
    asked = len(proxy.seen)
    wait_until(lambda: len(proxy.seen) >= asked + 3, timeout=LONG, what="three tries")
    puppet.say("two\n")
    proxy.turn("pass")

    shows(page, "one", "two")
    expect(page.locator("#link")).to_have_text("live")


def test_list_after_bad_gateway(person: Person, proxy: Proxy, store: Store):
    """The list comes back from a 502, with what was started meanwhile."""
    page = person.open("/runs", proxy.root)
    expect(page.locator("#link")).to_have_text("live")

    proxy.turn("bad gateway")
    expect(page.locator("#link")).to_have_text(RECONNECTING)
    run = store.start(["echo", "meanwhile"])
    proxy.turn("pass")

    row = page.locator(f"[data-id='{run.id}']")
    expect(row).to_contain_text("done")


def test_cut_again_and_again(person: Person, proxy: Proxy, run: Run, puppet: Puppet):
    """A proxy that cuts each connection in the middle of output loses and doubles nothing."""
    page = person.open(f"/runs/{run.id}", proxy.root)
    shows(page)
    for number in range(10):
        puppet.say("".join(f"{number} {line}\n" for line in range(500)))
        wait_until(lambda number=number: f"{number} 0" in lines(page), timeout=LONG)
        proxy.turn("pass")

    shows(page, *(f"{number} {line}" for number in range(10) for line in range(500)))


def test_proxy_that_holds_events_back(person: Person, proxy: Proxy, run: Run, puppet: Puppet):
    """Where something on the way holds event streams back, the page polls, and misses nothing."""
    proxy.turn("hold")
    page = person.open(f"/runs/{run.id}", proxy.root)
    puppet.say("one\n")
    shows(page, "one")
    puppet.say("two\n", fd=2)
    shows(page, "one", "two")
    puppet.say(b"\xff\n")
    shows(page, "one", "two", "\ufffd")

    puppet.say("three\n")
    shows(page, "one", "two", "\ufffd", "three")
    puppet.exit()
    expect(page.locator("#state")).to_have_text("done")


def test_dead_connection(person: Person, proxy: Proxy, run: Run, puppet: Puppet):
    """A connection that is dead without anybody being told is noticed after a while of silence."""
    page = person.open("/runs", proxy.root)
    page.clock.install()
    page.goto(f"{proxy.root}/runs/{run.id}")
    puppet.say("one\n")
    shows(page, "one")

    proxy.freeze()
    puppet.say("two\n")
    wait_until(lambda: run.tail_offset == 8, what="the second line in the log")
    assert lines(page) == ["one"]
    page.clock.fast_forward(31_000)
    shows(page, "one", "two")
    expect(page.locator("#link")).to_have_text("live")


def test_hidden_tab(person: Person, server: Serving, run: Run, puppet: Puppet):
    """A tab that nobody sees lets go of its connection, and has all when it is seen again."""
    page = person.open()
    page.clock.install()
    page.goto(f"{server.root}/runs/{run.id}")
    puppet.say("one\n")
    shows(page, "one")
    wait_until(lambda: viewers(server) == 1, timeout=LONG, what="one viewer")  # the list's is leaving

    page.evaluate(HIDE, True)
    page.clock.fast_forward(11_000)
    wait_until(lambda: viewers(server) == 0, timeout=LONG, what="no viewer")
    puppet.say("two\n")
    page.clock.fast_forward(11_000)
    shows(page, "one", "two")  # by polling

    puppet.say("three\n")
    page.evaluate(HIDE, False)
    shows(page, "one", "two", "three")
    wait_until(lambda: viewers(server) == 1, timeout=LONG, what="a viewer again")


def test_signed_out(person: Person, server: Serving, run: Run, puppet: Puppet):
    """A page whose cookie is gone says what to do, and goes on when it was done in another tab."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("one\n")
    shows(page, "one")
    person.context.clear_cookies()
    server.kill()
    server.start()
    expect(page.locator("#problem")).to_contain_text("open the link with the token again")

    person.open("/runs")
    puppet.say("two\n")
    shows(page, "one", "two")
    expect(page.locator("#problem")).to_be_hidden()


def test_many_tabs(person: Person, server: Serving, run: Run, puppet: Puppet):
    """Eight tabs all show what comes, and the eighth can stop the run: a browser has six connections."""
    pages = [person.open(f"/runs/{run.id}") for _ in range(7)] + [person.open("/runs")]
    puppet.say("one\n")
    for page in pages[:7]:
        shows(page, "one")
    expect(pages[7].locator(".row")).to_contain_text("running")
    # A slot that goes from one tab to another is counted twice until the server sees the first one leave.
    wait_until(lambda: 1 <= viewers(server) <= 4, timeout=LONG, what="four viewers at most")

    pages[7].locator(".row a").click()
    pages[7].get_by_role("button", name="Stop").click()
    for page in pages:
        expect(page.locator("#state")).to_have_text("stopped")


def test_closed_tabs_make_room(person: Person, server: Serving, run: Run, puppet: Puppet):
    """What a closed tab held is given to one that polled."""
    pages = [person.open(f"/runs/{run.id}") for _ in range(5)]
    puppet.say("one\n")
    for page in pages:
        shows(page, "one")
    wait_until(lambda: viewers(server) == 4, timeout=LONG, what="four viewers")
    for page in pages[:4]:
        page.close()

    wait_until(lambda: viewers(server) == 1, timeout=LONG, what="one viewer, the tab that is left")
    puppet.say("two\n")
    shows(pages[4], "one", "two")
