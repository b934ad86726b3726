#!/bin/sh
# The sync client of websockets waits for all of `close_timeout` where more messages came than it queues.
#
# websockets 17.4 and CPython 3.11, 2026-12-01. Who has seen enough of a stream and leaves the `with` block sends
# a close frame, and waits for the other end's. The thread that would read that stands still: it stops beyond
# `max_queue` messages, 16, until some are taken, and who closes takes none. So `close()` takes ten seconds, by
# the default of `close_timeout`, and the connection ends as lost, 1006, though the server answered at once. Where
# fewer are unread it takes some milliseconds and ends with 1000, and so it does with `max_queue=None`. Whether a
# viewer of a live log meets it depends on how busy its machine is. (Known: websockets issue 1336, since 2023.)
#
# Output seen:
#   10 unread, max_queue 16: at once, 1000
#   100 unread, max_queue 16: after close_timeout, 1006
#   100 unread, max_queue None: at once, 1000
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check websockets==17.4
cat > leave.py <<'PYTHON'
import threading
import time

from websockets.sync.client import connect
from websockets.sync.server import serve


def talk(socket):
    for number in range(int(socket.request.path[1:])):
        socket.send(str(number))
    sent.set()
    for _ in socket:  # until it closes
        pass


with serve(talk, "127.0.0.1", 0) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.socket.getsockname()[1]
    for unread, most in ((10, 16), (100, 16), (100, None)):
        sent = threading.Event()
        with connect(f"ws://127.0.0.1:{port}/{unread + 1}", close_timeout=5, max_queue=most) as client:
            client.recv()
            sent.wait()
            time.sleep(1)  # they are here
            begun = time.monotonic()
        waited = "after close_timeout" if time.monotonic() - begun > 4 else "at once"
        print(f"{unread} unread, max_queue {most}: {waited}, {client.close_code}")
    server.shutdown()
PYTHON
venv/bin/python leave.py 2>&1 | tee seen
printf '%s\n' "10 unread, max_queue 16: at once, 1000" "100 unread, max_queue 16: after close_timeout, 1006" \
    "100 unread, max_queue None: at once, 1000" | diff - seen
