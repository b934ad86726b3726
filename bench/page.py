"""Measure the page of a run in Chromium: `make bench-page`.

Each figure is the median of some rounds: what the screen alone needs for a line and for rich's bytes, how
long a page takes to show 6 MB of them, and the longest time between two frames in floods. Then ten million
lines: how long it takes to the last one, and to any other (the 95th percentile of 60 jumps); frames while a
wheel turns; and the memory of the tab beside that of an empty one.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from runcast import Store
from tests.helpers.browser import LONG, Person, Serving, launched

RICH = Path(__file__).parents[1] / "tests/page/recordings/rich.bin"
RICH_BYTES = 6_000_000
LINES = 400_000
COLOURED = r"seq -f $'\e[1;32mINFO\e[0m \e[36mname\e[0m took \e[33m%.0fms\e[0m' "
END = "the very end"
LONG_LINES, JUMPS = 10_000_000, 60
FLOOD_BYTES = 500_000_000
WHEELS, WHEEL_SECONDS = (3_000, 30_000), 3.0  # pixels a second

_ALONE = """
async ([base64, plain]) => {
  const here = document.querySelector("link[rel=modulepreload][href*='/terminal.']");
  const { Terminal } = await import(here.href);
  const owner = () => ({ line: 0, add: (row) => ({ row }), remove() {}, changed() {}, done() {}, fed() {} });
  const took = (size, pieces) => {
    const terminal = new Terminal(owner(), size);
    const began = performance.now();
    for (const piece of pieces) terminal.text(piece);
    return performance.now() - began;
  };
  const rich = atob(base64);
  const text = new TextDecoder().decode(Uint8Array.from(rich, (char) => char.charCodeAt()));
  const line = "2026-11-29 12:00:00 INFO worker-17 took 123 ms for /a/path/to/something\\n";
  const coloured = "\\x1b[1;32mINFO\\x1b[0m \\x1b[36mname\\x1b[0m took \\x1b[33m123ms\\x1b[0m\\n";
  const many = (one) => Array(100).fill(one.repeat(plain / 100));
  took(null, many(line));
  return {
    plain: took(null, many(line)) / plain * 1e6,
    coloured: took(null, many(coloured)) / plain * 1e6,
    rich: took({ columns: 80, rows: 24 }, Array(Math.round(6e6 / rich.length)).fill(text)),
  };
}
"""
_FRAMES = """
(() => {
  let last = performance.now();
  window.longest = 0;
  window.frames = 0;
  const frame = () => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - last);
    window.frames += 1;
    last = now;
    requestAnimationFrame(frame);
  };
  frame();
})()
"""
_SHOWN = """
(text) => new Promise((resolve) => {
  const look = () => {
    const last = [...document.querySelectorAll("#lines-here .text")].at(-1);
    if (last?.textContent.includes(text)) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})
"""
_JUMP = """
(line) => new Promise((resolve) => {
  const began = performance.now();
  location.hash = `#L${line}`;
  const look = () => {
    const number = document.querySelector(`.number[data-line="${line}"]`);
    if (number?.nextSibling.textContent) resolve(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})
"""


def _alone(page: Page) -> dict[str, float]:
    from base64 import b64encode

    found: dict[str, float] = page.evaluate(_ALONE, [b64encode(RICH.read_bytes()).decode(), 200_000])
    return found


def _rich(person: Person, store: Store, file: Path) -> tuple[float, float]:
    """Return how long it took, and how long the main thread of the page was busy, in milliseconds."""
    run = store.start(["cat", str(file)])
    run.wait(timeout=LONG)
    page = person.context.new_page()
    devtools = person.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(f"{person.server.root}/runs/{run.id}")
    took: float = page.evaluate(_SHOWN, END)
    busy = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    page.close()
    return took, busy["TaskDuration"] * 1000


def _flood(person: Person, store: Store, go: Path, script: str) -> float:
    wait = f"until [ -e {go} ]; do sleep 0.01; done; "
    run = store.start(["bash", "-c", f"{wait}{script}; echo {END}"])
    page = person.open(f"/runs/{run.id}")
    expect(page.locator("#state")).to_have_text("running", timeout=LONG * 1000)
    page.evaluate(_FRAMES)
    go.touch()
    page.evaluate(_SHOWN, END)
    expect(page.locator("#state")).to_have_text("done", timeout=LONG * 1000)
    longest: float = page.evaluate("longest")
    page.close()
    go.unlink()
    return longest


def _resident(browser: Browser, page: Page) -> float:
    """Return how many megabytes the processes of pages have in memory, at most."""
    page.bring_to_front()
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    renderers = [one["id"] for one in processes if one["type"] == "renderer"]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in renderers]
    return max(pages) * os.sysconf("SC_PAGESIZE") / 1e6


def _long(browser: Browser, server: Serving, store: Store) -> dict[str, float]:
    """Return the figures of ten million lines, in a browser of their own."""
    run = store.start(["seq", "-f", "%.0f of a long log, with as much text as a line has", str(LONG_LINES)])
    run.wait(timeout=10 * LONG)
    found: dict[str, float] = {}
    with Person(browser, server) as person:
        page = person.open("/runs")
        page.goto("about:blank")
        found["empty"] = _resident(browser, page)
        began = time.perf_counter()
        page.goto(f"{server.root}/runs/{run.id}", wait_until="commit")
        page.evaluate(_SHOWN, f"{LONG_LINES} of")
        found["last"] = (time.perf_counter() - began) * 1000
        chosen = random.Random(1)
        jumps = sorted(page.evaluate(_JUMP, chosen.randrange(1, LONG_LINES)) for _ in range(JUMPS))
        found["jump"] = jumps[round(0.95 * (JUMPS - 1))]
        page.locator("#output").hover()
        page.evaluate(_FRAMES)
        for speed in WHEELS:
            before, began = page.evaluate("frames"), time.perf_counter()
            while time.perf_counter() - began < WHEEL_SECONDS:
                page.mouse.wheel(0, speed / 50)
                time.sleep(0.02)
            found[f"wheel {speed}"] = (page.evaluate("frames") - before) / (time.perf_counter() - began)
        found["tab"] = _resident(browser, page)
        page.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each figure (3)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNCAST_STORE"] = f"{folder}/store"
        store, file, go = Store(f"{folder}/store"), Path(folder, "rich"), Path(folder, "go")
        data = RICH.read_bytes()
        file.write_bytes(data * round(RICH_BYTES / len(data)) + f"\n{END}\n".encode())
        with (
            launched() as browser,
            Serving("--allow-any-command") as server,
            Person(browser, server) as person,
        ):
            page = person.open(f"/runs/{store.start(['true']).id}")
            alone = [_alone(page) for _ in range(rounds)]
            page.close()

            rich = [_rich(person, store, file) for _ in range(rounds)]
            floods = [_flood(person, store, go, f"{COLOURED} {LINES}") for _ in range(rounds)]
            yes = [_flood(person, store, go, f"yes | head -c {FLOOD_BYTES}") for _ in range(rounds)]
            long = [_long(browser, server, store) for _ in range(rounds)]
            rows = [
                ("a plain line, screen alone", "ns", [one["plain"] for one in alone]),
                ("a coloured line, screen alone", "ns", [one["coloured"] for one in alone]),
                ("6 MB of rich, screen alone", "ms", [one["rich"] for one in alone]),
                ("6 MB of rich, page opened to last line", "ms", [took for took, _ in rich]),
                ("the same, busy main thread of the page", "ms", [busy for _, busy in rich]),
                (f"{LINES:,} coloured lines, longest frame", "ms", floods),
                (f"{FLOOD_BYTES // 10**6} MB of yes, longest frame", "ms", yes),
                (f"{LONG_LINES:,} lines, page opened to last line", "ms", [one["last"] for one in long]),
                ("the same, jump to any line, 95th percentile", "ms", [one["jump"] for one in long]),
                *(
                    (f"the same, wheel of {speed} px/s", "fps", [one[f"wheel {speed}"] for one in long])
                    for speed in WHEELS
                ),
                ("the same, memory of the tab", "MB", [one["tab"] for one in long]),
                ("memory of an empty tab", "MB", [one["empty"] for one in long]),
            ]
    for name, unit, values in rows:
        every = ", ".join(f"{value:.0f}" for value in values)
        print(f"{name:44}{statistics.median(values):8.0f} {unit}   ({every})")


if __name__ == "__main__":
    main()
