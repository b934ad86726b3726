"""Take the moving picture of the README, of a real run: a terminal and a page, each killed, and both go on.

Owns the story and how frames are put together. What is seen is real: the terminal shows what its program
printed, the page is the page.
"""

import base64
import contextlib
import io
import os
import subprocess
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.helpers.browser import LONG, Person, Serving, launched, lines
from tests.helpers.cli import RUNCAST
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until

FRAME_MS, LAST_MS = 280, 3500
COLORS = 48
STEPS = 26
TRAIN = """#!/bin/sh
while IFS= read -r line && [ "$line" != end ]; do echo "$line"; done < orders
"""
STAGE = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #eef1f4; font: 15px system-ui, sans-serif; width: 1080px }
main { display: flex; gap: 12px; padding: 12px 12px 6px }
pre { box-sizing: border-box; width: 400px; height: 400px; margin: 0; padding: 12px; overflow: hidden;
  border-radius: 8px; background: #1b1f24; color: #d7dde3; font: 13px/18px monospace;
  display: flex; flex-direction: column; justify-content: end }
img { width: 644px; height: 400px; border-radius: 8px; border: 1px solid #cfd6dd; box-sizing: border-box }
p { margin: 0; padding: 0 12px 10px; height: 24px; font-weight: 600 }
</style><main><pre></pre><img></main><p></p>"""


class Terminal:
    """A terminal that shows what is typed in it, and what the programs print."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def run(self, *words: str) -> subprocess.Popen[str]:
        """Type a command, and show what it prints from then on."""
        self.text.append(f"$ runcast {' '.join(words)}")
        process = subprocess.Popen(
            [RUNCAST, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        threading.Thread(target=self._show, args=(process,), daemon=True).start()
        return process

    def _show(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.text.append(line.rstrip("\n"))


class Film:
    """Frames of a terminal and a page beside each other, with a sentence below."""

    def __init__(self, browser: Browser, terminal: Terminal, page: Page) -> None:
        self._terminal, self._page = terminal, page
        self._stage = browser.new_page(viewport={"width": 1080, "height": 452})
        self._stage.set_content(STAGE)
        self.frames: list[Image.Image] = []
        self.says = ""

    def take(self) -> None:
        """Take a frame."""
        seen = base64.b64encode(self._page.screenshot(animations="disabled")).decode()
        self._stage.evaluate(
            """async ([text, seen, says]) => {
                document.querySelector("pre").textContent = text;
                document.querySelector("p").textContent = says;
                const image = document.querySelector("img");
                image.src = `data:image/png;base64,${seen}`;
                await image.decode();
            }""",
            ["\n".join(self._terminal.text[-21:]), seen, self.says],
        )
        shot = Image.open(io.BytesIO(self._stage.screenshot()))
        self.frames.append(shot.convert("RGB"))

    def save(self, path: Path) -> None:
        """Write all frames as a GIF that begins anew."""
        palette = self.frames[len(self.frames) // 2].quantize(COLORS)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        times = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)


def moving_picture(path: Path) -> None:
    """Play the story, and write it to a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RUNCAST_STORE"] = str(folder / "store")
        (folder / "train").write_text(TRAIN)
        (folder / "train").chmod(0o755)
        os.mkfifo(folder / "orders")
        os.chdir(folder)
        with (
            temporary_store(folder / "store") as store,
            Serving("--allow-any-command") as server,
            launched() as browser,
            contextlib.ExitStack() as stack,
            Person(browser, server, viewport={"width": 1030, "height": 640}) as person,
        ):
            terminal = Terminal()
            orders = stack.enter_context(open("orders", "r+b", buffering=0))
            watching = terminal.run("run", "--", "./train")
            wait_until(lambda: list(store.list()), timeout=LONG)
            [run] = store.list()
            page = person.open(f"/runs/{run.id}")
            film = Film(browser, terminal, page)
            step = 0

            def go_on(steps: int, says: str, *, seen: bool = True) -> None:
                nonlocal step
                film.says = says
                for _ in range(steps):
                    step += 1
                    line = f"step {step:2}/{STEPS}   loss {1 - step * 0.03:.2f}"
                    orders.write(f"{line}\n".encode())
                    if watching.poll() is None or following:
                        wait_until(lambda line=line: terminal.text[-1] == line, timeout=LONG)
                    if seen:
                        wait_until(lambda line=line: lines(page)[-1:] == [line], timeout=LONG)
                    film.take()

            following = False
            go_on(7, "Start a command in a terminal, watch it on its page.")
            watching.kill()
            watching.wait()
            terminal.text += ["Killed", "$ "]
            go_on(6, "kill -9 of the terminal's program: the run goes on.")
            server.kill()
            film.says = "kill -9 of the server: the run goes on. The page waits for it …"
            go_on(5, film.says, seen=False)
            terminal.text.pop()
            again = terminal.run("follow", "last")
            following = True
            go_on(2, "… while any terminal follows from its first byte, straight from the log …", seen=False)
            server.start()
            wait_until(lambda: lines(page)[-1:] == [terminal.text[-1]], timeout=LONG)
            go_on(STEPS - step, "… and once there is a server again, the page has every line, each one once.")
            orders.write(b"end\n")
            again.wait()
            run.wait(timeout=LONG)
            wait_until(lambda: "exit code 0" in (page.text_content("body") or ""), timeout=LONG)
            film.take()
            film.save(path)
