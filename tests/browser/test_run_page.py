"""The page of a run: what it shows, while the run goes on and after."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from runcast import Run, Store
from tests.helpers.browser import LONG, Person, Puppet, lines, shows, stop_clock
from tests.helpers.queued import queued
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=LONG * 1000)

BELOW = "(box) => box.scrollHeight - box.scrollTop - box.clientHeight"


def test_lines_appear_while_the_run_goes_on(person: Person, run: Run, puppet: Puppet):
    """Lines, and the beginning of one, are seen when they are written; the end is told in a sentence."""
    puppet.say("one\ntwo\nis this the end? ")
    page = person.open(f"/runs/{run.id}")

    shows(page, "one", "two", "is this the end? ")
    expect(page.locator("#state")).to_have_text("running")
    expect(page.locator("#link")).to_have_text("live")
    puppet.say("no\nthree\n")
    shows(page, "one", "two", "is this the end? no", "three")
    expect(page.locator("#lines")).to_have_text("4 lines")
    assert run.outcome is None

    puppet.say("\nlast words")
    puppet.exit(3)
    expect(page.locator("#outcome")).to_have_text(
        re.compile(r"Failed with exit code 3 after [\d.]+ (ms|s)\.")
    )
    shows(page, "one", "two", "is this the end? no", "three", "", "last words")
    expect(page.locator("#state")).to_have_text("exit 3")
    expect(page.locator("#lines")).to_have_text("5 lines")
    expect(page.locator("#bytes")).to_have_text(f"{run.tail_offset} B")
    expect(page.locator("#stop")).to_be_hidden()
    assert page.title() == "✗ puppet \u2013 exit 3"


def test_waits_for_its_turn(person: Person, store: Store):
    """A run that waits for its slot says so, and the button stops it."""
    with queued(store, ["true"]) as queue:
        page = person.open(f"/runs/{queue.run.id}")
        expect(page.locator("#state")).to_have_text("queued")
        expect(page.locator("#outcome")).to_contain_text("Waiting for its turn")

        page.locator("#stop").click()

        expect(page.locator("#outcome")).to_have_text("Stopped: its command was not started.")
        assert queue.run.pid is None


def test_hooks(person: Person, store: Store, tmp_path: Path):
    """What became of its hooks is on the page of a run that is over, as soon as it is known."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    hooks = [{"command": ["sh", "-c", f'read line < "{gate}"; exit 3']}, {"command": ["./not-there"]}]
    page = person.open(f"/runs/{store.start(['true'], on_end=hooks).id}")
    expect(page.locator("#hooks")).to_contain_text("sh to be done")
    gate.write_text("go on\n")

    expect(page.locator("#hooks")).to_have_text(
        "sh failed: exit code 3; ./not-there failed: it cannot be started: no such file or directory"
    )
    page.goto(page.url.replace("#", ""))
    expect(page.locator("#hooks-fact")).to_be_visible()


def test_reload_keeps_every_line_once(person: Person, run: Run, puppet: Puppet):
    """A reload in mid-line, and one after the end, show every line once."""
    puppet.say("one\ntw")
    page = person.open(f"/runs/{run.id}")
    shows(page, "one", "tw")

    page.reload()
    shows(page, "one", "tw")
    puppet.say("o\nthree\n")
    shows(page, "one", "two", "three")

    puppet.exit()
    expect(page.locator("#state")).to_have_text("done")
    page.reload()
    shows(page, "one", "two", "three")
    expect(page.locator("#state")).to_have_text("done")


def test_address_of_the_log(person: Person, start: Callable[[str], Run]):
    """A browser that goes to the address of the log gets the page, not a download."""
    page = person.open(f"/runs/{start('echo hello').id}/log")

    shows(page, "hello")
    expect(page.locator("#state")).to_have_text("done")


def test_two_tabs(person: Person, run: Run, puppet: Puppet):
    """Two tabs of one run show the same, the late one from the beginning."""
    puppet.say("one\n")
    first = person.open(f"/runs/{run.id}")
    shows(first, "one")
    second = person.open(f"/runs/{run.id}")
    puppet.say("two\n")

    shows(second, "one", "two")
    shows(first, "one", "two")


def test_facts(person: Person, run: Run, puppet: Puppet):
    """Command, process and start are told, and the duration counts on."""
    page = person.open(f"/runs/{run.id}")

    expect(page.get_by_role("heading")).to_have_text("puppet running")
    expect(page.locator("#command")).to_contain_text("'↵import os, sys↵")
    expect(page.locator("#command")).to_contain_text(puppet.argv[-1])
    expect(page.locator("#pid")).to_have_text(str(run.pid))
    expect(page.locator("#started")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    before = page.inner_text("#duration")
    wait_until(lambda: page.inner_text("#duration") != before, what="the next second")


def test_usage_so_far(person: Person, start: Callable[[str], Run]):
    """While a run goes on the page says what it has used, and at the end what it used in all."""
    run = start("python3 -c 'x = bytearray(100 << 20); print(1, flush=True); input()'; sleep 600")
    page = person.open(f"/runs/{run.id}")

    expect(page.locator("#used")).to_have_text(re.compile("^(\\d+ ms|\\d+\\.\\d s) CPU"), timeout=LONG * 1000)
    run.kill()
    expect(page.locator("#state")).to_have_text("stopped")
    expect(page.locator("#used")).to_have_text(re.compile("CPU"))


def test_stop(person: Person, run: Run):
    """Stop ends the run, and the page says so."""
    page = person.open(f"/runs/{run.id}")
    page.get_by_role("button", name="Stop").click()

    expect(page.locator("#state")).to_have_text("stopped")
    expect(page.locator("#outcome")).to_have_text(re.compile(r"Stopped after .*, with SIGTERM\."))
    assert run.wait(timeout=LONG).reason == "stopped"


def test_kill_what_does_not_stop(person: Person, start: Callable[[str], Run]):
    """A second click kills what does not heed the first."""
    run = start("trap 'echo no' TERM; echo ready; while :; do read -t 9 <> <(:); done")
    page = person.open(f"/runs/{run.id}")
    shows(page, "ready")

    # By itself the page gives it 5 s, and they may be over before there is a second click.
    page.route("**/stop", lambda route: route.continue_(post_data={"grace": 600}), times=1)
    page.get_by_role("button", name="Stop").click()
    shows(page, "ready", "no")
    expect(page.locator("#state")).to_have_text("stopping")
    page.get_by_role("button", name="Kill now").click()

    expect(page.locator("#outcome")).to_have_text(re.compile(r"Stopped after .*, with SIGKILL\."))
    assert run.wait(timeout=LONG).signal == 9


def test_run_again(person: Person, start: Callable[[str], Run], store: Store):
    """Run again starts the same and goes there."""
    run = start("echo again")
    page = person.open(f"/runs/{run.id}")
    page.get_by_role("button", name="Run again").click()

    page.wait_for_url(lambda url: not url.endswith(run.id))
    shows(page, "again")
    assert [other.command for other in store.list()] == [run.command] * 2


def test_delete(person: Person, start: Callable[[str], Run], store: Store):
    """A run that has ended is deleted by two clicks, not by one."""
    run = start("echo over")
    page = person.open(f"/runs/{run.id}")
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    stop_clock(page)  # 4 s after the first click another would be the first again
    page.get_by_role("button", name="Delete").click()
    assert [other.id for other in store.list()] == [run.id]

    page.get_by_role("button", name="Really delete?").click()
    page.wait_for_url("**/runs")
    expect(page.get_by_text("No runs yet")).to_be_visible()
    assert list(store.list()) == []


def test_download(person: Person, start: Callable[[str], Run]):
    """The download is the log, to the byte."""
    run = start(r"printf 'a\r\nb\0\377 c'")
    page = person.open(f"/runs/{run.id}")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download").click()

    assert re.fullmatch(r"script-\d{4}-\d\d-\d\d-\d{4}\.log", downloading.value.suggested_filename)
    assert downloading.value.path().read_bytes() == b"a\r\nb\0\377 c"


def test_channels_apart(person: Person, run: Run, puppet: Puppet):
    """stderr has a bar and says so in its number, and does not run into an unfinished line of stdout."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("name? ")
    shows(page, "name? ")
    puppet.say("warning\n", fd=2)
    shows(page, "name? ", "warning")
    puppet.say("Ada\n")
    shows(page, "name? Ada", "warning")

    out, err = page.locator(".line").all()
    bar = "(line) => getComputedStyle(line).borderLeftWidth"
    assert (out.evaluate(bar), err.evaluate(bar)) == ("0px", "3px")
    assert err.get_by_label("Line 1, stderr").count() == 1


def test_nothing_printed(person: Person, start: Callable[[str], Run]):
    """A run without output says so."""
    page = person.open(f"/runs/{start('true').id}")

    expect(page.locator("#silent")).to_have_text("It printed nothing.")
    expect(page.locator("#lines")).to_have_text("0 lines")


def test_why_it_is_silent(person: Person, store: Store):
    """After some seconds without output the page says which program holds it back, until there is more."""
    silent = store.start("echo before; cat | grep x", shell=True, stdin="pipe")
    empty = store.start("cat | sed -n p", shell=True, stdin="pipe")
    pages = [person.open(f"/runs/{run.id}") for run in (silent, empty)]
    held = [page.locator("#silent") for page in pages]

    expect(held[0]).to_have_text(
        re.compile("^Nothing for a while: grep holds its lines back.*--line-buffered")
    )
    expect(held[1]).to_have_text(re.compile("^No output yet: sed holds its lines back.*sed -u"))
    for run in (silent, empty):
        run.send("x\n", eof=True)
    shows(pages[0], "before", "x")
    for one in held:
        expect(one).to_be_hidden()


def test_output_ends_the_silence(person: Person, run: Run, puppet: Puppet):
    """That there is no output is not said beside any; what is selected stays where it is when it goes."""
    page = person.open()
    page.clock.install()
    page.goto(f"{person.server.root}/runs/{run.id}")
    silent = page.locator("#silent")
    expect(page.locator("#link")).to_have_text("live")
    page.clock.fast_forward(5000)
    expect(silent).to_have_text("No output yet.")
    stop_clock(page)
    puppet.say("".join(f"{number}\n" for number in range(200)))
    expect(silent).to_be_hidden()

    page.clock.resume()
    expect(page.locator(".line")).to_have_count(200)
    page.clock.fast_forward(5000)
    expect(silent).to_contain_text("Nothing for a while: ")
    page.locator("#output").press("End")
    page.locator(".line", has_text=re.compile("^195$")).locator(".text").dblclick()
    top = "document.querySelector('#output').scrollTop"
    before = page.evaluate(top)
    puppet.say("200\n")
    expect(page.get_by_role("button", name="Jump to the end")).to_have_text("Jump to the end: 1 new line")
    expect(silent).not_to_contain_text("Nothing")
    assert page.evaluate(top) == before
    page.evaluate("getSelection().removeAllRanges()")
    expect(silent).to_be_hidden()


def test_no_program(person: Person, store: Store):
    """A command that cannot be started says why."""
    run = store.start(["no-such-program-anywhere"])
    page = person.open(f"/runs/{run.id}")

    expect(page.locator("#state")).to_have_text("not started")
    expect(page.locator("#outcome")).to_have_text(
        re.compile("Could not be started.*no-such-program-anywhere")
    )


def test_half_characters(person: Person, run: Run, puppet: Puppet):
    """A character that comes in pieces is whole; bytes that are none are marked and hide nothing."""
    page = person.open(f"/runs/{run.id}")
    puppet.say(b"gr\xc3")
    shows(page, "gr")
    puppet.say(b"\xbc\xc3\x9f \xff \xf0\x9f\n\xa6\x8a ok\n")

    shows(page, "grüß \ufffd \ufffd", "\ufffd\ufffd ok")


def test_follows_until_one_scrolls_up(person: Person, run: Run, puppet: Puppet):
    """The end stays in sight until one scrolls up; the button goes back to it."""
    page = person.open(f"/runs/{run.id}")
    output, jump = page.locator("#output"), page.get_by_role("button", name="Jump to the end")
    puppet.say("".join(f"{number}\n" for number in range(200)))
    expect(page.locator(".line")).to_have_count(200)
    wait_until(lambda: output.evaluate(BELOW) < 2, what="the end in sight")
    expect(jump).to_be_hidden()

    output.hover()
    page.mouse.wheel(0, -900)
    expect(jump).to_be_visible()
    before = output.evaluate("(box) => box.scrollTop")
    puppet.say("".join(f"{number}\n" for number in range(200)))
    expect(page.locator(".line")).to_have_count(400)
    assert output.evaluate("(box) => box.scrollTop") == before

    jump.click()
    wait_until(lambda: output.evaluate(BELOW) < 2, what="the end in sight again")
    expect(jump).to_be_hidden()
    puppet.say("and on\n" * 100)
    expect(page.locator(".line")).to_have_count(500)
    wait_until(lambda: output.evaluate(BELOW) < 2, what="the new end in sight")


def test_keyboard(person: Person, run: Run, puppet: Puppet):
    """All can be reached and used by keyboard, and the focus is seen."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("".join(f"{number}\n" for number in range(200)))
    expect(page.locator(".line")).to_have_count(200)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"
        reached.append(focused.get_attribute("id") or "back")
    buttons = [
        "stop",
        "rerun",
        "download",
        "copy-link",
        "copy-shared",
        "copy-command",
        "copy-curl",
        "notify",
        "show-keys",
    ]
    tools = ["channel", "next-error", "previous-error", "times", "wrap", "find-open", "first", "follow"]
    assert reached == ["back", "fold", *buttons, *tools, "output"]

    page.keyboard.press("Home")
    wait_until(lambda: page.evaluate("document.querySelector('#output').scrollTop") == 0)
    expect(page.get_by_role("button", name="Jump to the end")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Jump to the end")).to_be_hidden()


def test_end_is_there_when_it_is_over(person: Person, start: Callable[[str], Run], tmp_path: Path):
    """When the page shows that a run has ended while it watched, the last line is there, too."""
    go = tmp_path / "go"
    wait = f"until [ -e {go} ]; do sleep 0.01; done; "
    run = start(
        wait + r"seq -f $'\e[1;32mINFO\e[0m \e[36mname\e[0m took \e[33m%.0fms\e[0m' 60000; echo the end"
    )
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("running")
    go.touch()
    expect(page.locator("#state")).to_have_text("done")

    assert lines(page)[-1] == "the end"
    wait_until(lambda: len(lines(page)) > 50, timeout=LONG, what="the lines above it")
    assert lines(page)[-2:] == ["INFO name took 60000ms", "the end"]


def test_end_is_there_on_a_busy_machine(person: Person, run: Run, puppet: Puppet):
    """Where the page gets no time between two looks at the clock, its last line is there at the end, too."""
    person.context.add_init_script(
        "let late = 0; const now = performance.now.bind(performance);"
        "performance.now = () => now() + (late += 30);"
    )
    puppet.say("one\ntwo\n")
    page = person.open(f"/runs/{run.id}")
    shows(page, "one", "two")
    puppet.say("last words")
    puppet.exit()
    expect(page.locator("#state")).to_have_text("done")

    assert lines(page) == ["one", "two", "last words"]


def test_flood(person: Person, store: Store):
    """While output comes faster than it can be sent or shown, the page stays in use: Stop works."""
    # 400,000 lines a second: far more than a page can show, and it leaves the browser a processor.
    flood = "while :; do seq 20000; sleep 0.05; done"
    run = store.start(["sh", "-c", flood], cap=64_000_000)
    page = person.open(f"/runs/{run.id}")
    expect(page.locator(".line").first).to_be_attached()

    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#state")).to_have_text("stopped")
    wait_until(lambda: page.locator(".line").count() <= 200, timeout=LONG)


def test_gap(person: Person, store: Store):
    """What the cap dropped is told where it is missing."""
    run = store.start(["sh", "-c", "seq -f %0100.0f 10000; exec sleep 600"], cap=500_000)
    wait_until(lambda: run.tail_offset == 1_010_000, timeout=LONG, what="all lines in the log")
    page = person.open(f"/runs/{run.id}")

    expect(page.locator("#lines-here .note")).to_have_text(
        re.compile(r"^[\d,]+ lines, [\d.]+ kB of output are missing here")
    )
    expect(page.locator("#lines")).to_have_text("10,000 lines")
    wait_until(lambda: lines(page)[-1:] == [f"{10_000:0100}"], timeout=LONG, what="the last line")

    def whole() -> bool:
        """Return whether all lines are there: the newest are drawn first."""
        shown = page.locator("#lines-here .line, #lines-here .note").all_text_contents()
        gap = next(at for at, text in enumerate(shown) if "missing" in text)
        before, after = shown[: gap - 1], shown[gap + 2 :]  # the lines at its edges may be cut
        assert before == [f"{number:0100}" for number in range(1, gap)]
        return after == [f"{number:0100}" for number in range(10_001 - len(after), 10_001)]

    wait_until(whole, timeout=LONG, what="all lines behind the gap")
    run.stop()
    expect(page.locator("#outcome")).to_contain_text("The middle of its output was dropped")


def test_progress_in_the_output(person: Person, run: Run, puppet: Puppet):
    """Progress that a program sends to the window of its terminal is the bar of the page, until it ends."""
    page = person.open(f"/runs/{run.id}")
    puppet.say("\033]9;4;1;45\007working\n")
    expect(page.locator("#progress-text")).to_have_text("45 %")
    assert page.locator("#bar").evaluate("(bar) => bar.value / bar.max") == 0.45
    puppet.say("\033]9;4;2;50\007")
    expect(page.locator("#progress-text")).to_have_text("50 %, an error")
    puppet.say("\033]9;4;0\007")
    expect(page.locator("#progress")).to_be_hidden()

    shows(page, "working")


def test_narrow(person: Person, run: Run, puppet: Puppet):
    """At 360 pixels nothing is cut off, neither on the page nor in the output."""
    puppet.say("a-very-long-word-" * 30 + "\n")
    page = person.open(f"/runs/{run.id}")
    page.set_viewport_size({"width": 360, "height": 640})
    expect(page.locator(".line")).to_have_count(1)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert (
        page.evaluate(
            "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)(document.querySelector('#output'))"
        )
        == 0
    )


def test_phone_on_its_side(person: Person, run: Run, puppet: Puppet):
    """Where a screen is low, the output takes most of it: what is above scrolls away."""
    puppet.say("a line\n" * 100)
    page = person.open(f"/runs/{run.id}")
    page.set_viewport_size({"width": 844, "height": 390})

    box = page.locator("#output").bounding_box()
    assert box is not None
    assert box["height"] > 390 / 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(person: Person, run: Run, puppet: Puppet, scheme: str):
    """In both schemes text has a contrast of 4.5 to 1 or more (WCAG 2.2, 1.4.3), coloured output too."""
    page = person.open(f"/runs/{run.id}")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    codes: list[int | str] = [*range(30, 38), *range(90, 98)]
    codes += [f"{code};2" for code in codes] + [f"{code};7" for code in codes] + ["2", "7"]
    codes += [f"{code};4{number}" for code in ("39", "31", "97") for number in range(8)]
    shades = ["0;0;0", "255;255;255", "255;255;0", "0;0;255", "128;128;128", "120;20;200"]
    codes += [f"38;2;{shade}" for shade in shades]
    codes += [f"{front};48;2;{shade}" for front in ("39", "30", "94", "97", "2") for shade in shades]
    codes += [f"7;38;2;{shade}" for shade in shades]
    puppet.say("".join(f"\033[{code}mcolour {code}\033[0m\n" for code in codes))
    puppet.say("an error\n", fd=2)
    expect(page.locator(".line")).to_have_count(len(codes) + 1)

    ratios = contrasts(page, "#title, #state, #command, #outcome, dt, dd, button, .button, .line, .line span")
    assert len(ratios) > 25
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_colours_as_the_program_chose_them(person: Person, run: Run, puppet: Puppet):
    """Colours of 16 million, and of 256, are shown; a picture's on the page's background, too."""
    page = person.open(f"/runs/{run.id}")
    page.emulate_media(color_scheme="light")
    puppet.say("\033[38;2;1;200;3;48;2;4;5;6mboth\033[0m\n")
    puppet.say("\033[38;5;226m\u2588\u2580\033[0m \033[38:2::255:255:0mtext\033[0m\n")
    puppet.say("\033[7;38;2;9;9;9mturned\033[0m\n")
    expect(page.locator(".line")).to_have_count(3)

    read = "all => all.map((one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor])"
    both, picture, text, turned = page.locator(".text span").evaluate_all(read)
    assert both == ["rgb(1, 200, 3)", "rgb(4, 5, 6)"]
    assert picture[0] == "rgb(255, 255, 0)"
    assert text[0] != picture[0]
    assert turned[1] == "rgb(9, 9, 9)"


def contrasts(page: Page, selector: str) -> dict[str, float]:
    """Return the contrast of each element's text with what is behind it, by its text."""
    ratios: dict[str, float] = page.evaluate(
        """(selector) => {
          const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
          const channels = (colours) => {
            canvas.clearRect(0, 0, 1, 1);
            for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
          };
          const luminance = (rgb) => rgb.map((value) => value / 255)
            .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
            .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
          const behind = (element) => element
            ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : ["white"];
          const found = {};
          for (const element of document.querySelectorAll(selector)) {
            if (!element.innerText || !element.checkVisibility()) continue;
            const below = behind(element);
            const colours = [channels(below), channels([...below, getComputedStyle(element).color])];
            const [low, high] = colours.map(luminance).sort((a, b) => a - b);
            found[`${element.tagName} ${element.innerText}`] = (high + 0.05) / (low + 0.05);
          }
          return found;
        }""",
        selector,
    )
    return ratios
