"""Take the screenshots of the docs, of the real page of a real server: `make screenshot`."""

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.moving_picture import moving_picture
from tests.helpers.browser import LONG, Person, Serving, launched, lines
from tests.helpers.stores import temporary_store
from tests.helpers.wait import wait_until

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LARGEST, LARGEST_MOVING = 200_000, 500_000  # bytes of one image; everybody who clones gets them

CONFIG = """
[commands.build]
title = "Build the site"
description = "Fetches what is new, compiles it and runs the checks."
command = ["./build", "--release"]

[commands.backup]
title = "Back up the database"
description = "To the other building. Takes some minutes."
command = ["./backup", "--to", "vault:/nightly"]

[commands.disks]
title = "Disk space"
command = ["df", "-h"]
"""
BUILD = r"""#!/bin/bash
bold=$'\e[1m' green=$'\e[32m' cyan=$'\e[36m' dim=$'\e[2m' red=$'\e[31m' end=$'\e[0m'
echo "${bold}==> Fetching 4 packages$end"
for package in "fonts 2.1.0" "layout 5.0.3" "search 1.14.2" "feed 0.9.8"; do
    echo "    $green✓$end $package"
done
echo "${bold}==> Compiling$end"
for at in 1 2 3 4 5 6 7 8 9; do
    echo "    ${dim}[$at/14]$end ${cyan}render$end pages/part-$at.md $dim->$end site/part-$at/index.html"
done
sleep 0.2
echo "warning: part-7.md:112: the link 'appendix-c' leads nowhere" >&2
echo "warning: part-9.md:18: image 'tower.jpg' is 4.1 MB" >&2
sleep 0.2
for at in 10 11 12 13 14; do
    echo "    ${dim}[$at/14]$end ${cyan}render$end pages/part-$at.md $dim->$end site/part-$at/index.html"
done
echo "${bold}==> Checking$end"
for part in 10 35 64; do
    printf '\r    %d of 214 pages checked' $((214 * part / 100))
    sleep 0.1
done
exec sleep 600
"""


def main() -> None:
    """Start some runs, look at them, and write the images."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RUNCAST_STORE"] = str(folder / "store")
        (folder / "server.toml").write_text(CONFIG)
        for program, text in {
            "build": BUILD,
            "backup": "#!/bin/sh\necho 'vault: connection refused' >&2\nexit 3\n",
        }.items():
            (folder / program).write_text(text)
            (folder / program).chmod(0o755)
        arguments = ("--allow-any-command", "--config", folder / "server.toml")
        with (
            temporary_store(folder / "store") as store,
            Serving(*arguments) as server,
            launched() as browser,
            Person(browser, server, viewport={"width": 1180, "height": 720}) as person,
        ):
            store.start(["df", "-h"], name="disks").wait(timeout=LONG)
            store.start(["./backup", "--to", "vault:/nightly"], name="backup", cwd=folder).wait(timeout=LONG)
            stopped = store.start(["tail", "-f", "/dev/null"], name="tail")
            stopped.stop()
            stopped.wait(timeout=LONG)
            run = store.start(["./build", "--release"], name="build", cwd=folder)
            page = person.open(f"/runs/{run.id}")
            wait_until(lambda: lines(page)[-1:] == ["    136 of 214 pages checked"], timeout=LONG)
            for scheme, image in (("light", "run-page"), ("dark", "run-page-dark")):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                page.screenshot(path=IMAGES / f"{image}.png", animations="disabled")
            page.emulate_media(color_scheme="light")
            page.goto(f"{server.root}/runs")
            expect(page.locator(".row")).to_have_count(4)
            page.screenshot(path=IMAGES / "list-page.png", animations="disabled")
    moving_picture(IMAGES / "goes-on.gif")
    for path in sorted(IMAGES.iterdir()):
        size = path.stat().st_size
        print(f"{path.relative_to(Path.cwd())}: {size:,} bytes")
        if size > (LARGEST_MOVING if path.suffix == ".gif" else LARGEST):
            sys.exit("expected fewer bytes: make the window smaller")


if __name__ == "__main__":
    main()
