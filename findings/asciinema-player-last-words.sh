#!/bin/sh
# asciinema-player drops the last output of a WebSocket that is closed at once behind it.
#
# asciinema-player 3.18.0, Chromium 156, 2026-11-29. By its driver `websocket` the player holds output back, for
# 100 ms at first and longer where the network is uneven, and when the connection is closed it throws away what it
# holds (`stopBuffer` in `onclose` of src/driver/websocket.js), then says "Stream ended". So a server that sends
# the rest, the exit event and the close frame, as servers do, loses what a program said last: its error message.
# The driver `eventsource` shows it. A server can wait before it closes: a second was enough.
#
# Output seen:
#   closed at once: first
#   closed after 1 s: first last
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts asciinema-player@3.18.0
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check playwright==1.55.0 websockets==15.0.1
cat > play.py <<'PYTHON'
import json, os, shutil, threading, time
from playwright.sync_api import sync_playwright
from websockets.sync.server import serve


def talk(socket):
    socket.send(json.dumps({"version": 2, "width": 20, "height": 2}))
    socket.send(json.dumps([0.0, "o", "first "]))
    time.sleep(2)
    socket.send(json.dumps([2.0, "o", "last"]))
    socket.send(json.dumps([2.0, "x", "1"]))
    time.sleep(float(socket.request.path[1:]))
    socket.close()


player = "node_modules/asciinema-player/dist/bundle/asciinema-player"
chromium = os.environ.get("RUNCAST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
with serve(talk, "127.0.0.1", 0, subprotocols=["v2.asciicast"]) as server, sync_playwright() as playwright:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.socket.getsockname()[1]
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    for seconds, words in ((0, "at once"), (1, "after 1 s")):
        page = browser.new_page()
        page.add_style_tag(path=f"{player}.css")
        page.add_script_tag(path=f"{player}.min.js")
        page.evaluate(
            """(url) => new Promise((ended) => {
              const player = AsciinemaPlayer.create({driver: "websocket", url}, document.body, {autoPlay: true});
              player.addEventListener("ended", ended);
            })""",
            f"ws://127.0.0.1:{port}/{seconds}",
        )
        page.wait_for_timeout(1000)
        print(f"closed {words}:", page.locator(".ap-line").first.text_content().strip())
    browser.close()
    server.shutdown()
PYTHON
venv/bin/python play.py | tee seen
printf '%s\n' "closed at once: first" "closed after 1 s: first last" | diff - seen
