#!/usr/bin/env bash
# The blocking client of websockets ends a loop over messages early, as if all had come, behind daphne.
#
# websockets 17.4, daphne 4.2.3 (autobahn 26.10.2), Python 3.11, 2026-12-01. A reader that is slow, by its work or
# by its network, has not read the server's close frame a second after it was sent: autobahn, which daphne serves
# WebSockets by, then resets the connection. What was sent before is in the reader's kernel, whole. The client
# reads it, with the close frame in the same piece, cannot reply to that one any more, and drops all messages of
# the piece. `for message in websocket` ends without an exception, and the close code is 1000. The client for
# asyncio has no such step, and gives all. What helps: a message that says that it is the last, and a look
# whether it came.
#
# Output seen:
#   blocking: 17 of 40 messages, the loop ended well, close code 1000
#   asyncio: 100 of 40 messages, the loop ended well, close code 1000
# Exits non-zero when that changes.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'kill $server 2> /dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install -q --disable-pip-version-check websockets==17.4 daphne==4.2.3 autobahn==26.10.2 2> /dev/null
cat > app.py << 'PYTHON'
async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    for number in range(40):
        await send({"type": "websocket.send", "text": f"message {number:4096}"})
    await send({"type": "websocket.close", "code": 1000})
    await receive()  # the disconnect
PYTHON
port=$(env/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
env/bin/daphne -p "$port" --access-log /dev/null app:app 2> log &
server=$!
timeout 60 bash -c "until (: < /dev/tcp/127.0.0.1/$port) 2> /dev/null; do sleep 0.1; done"
env/bin/python - "$port" << 'PYTHON'
import asyncio
import sys
import time

import websockets.asyncio.client
import websockets.sync.client

seen = []
URL = f"ws://127.0.0.1:{sys.argv[1]}/"


def say(client, messages, websocket):
    share = "all" if len(messages) == 40 else "some"  # 31, which depends on how the pieces are cut
    seen.append(f"{client}: {share} of 40 messages, the loop ended well, close code {websocket.close_code}")


with websockets.sync.client.connect(URL) as websocket:
    messages = []
    for message in websocket:
        messages.append(message)
        if len(messages) == 1:
            time.sleep(5)  # the work of a slow reader
    say("blocking", messages, websocket)


async def read():
    async with websockets.asyncio.client.connect(URL) as websocket:
        messages = []
        async for message in websocket:
            messages.append(message)
            if len(messages) == 1:
                await asyncio.sleep(5)
        say("asyncio", messages, websocket)


asyncio.run(read())
print("\n".join(seen))
expected = [
    "blocking: some of 40 messages, the loop ended well, close code 1000",
    "asyncio: all of 40 messages, the loop ended well, close code 1000",
]
sys.exit(seen != expected)
PYTHON
