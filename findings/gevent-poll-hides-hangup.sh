#!/bin/sh
# Under gevent a poll never says POLLHUP, and a pipe's end that was closed is open until the hub runs.
#
# gevent 26.9.0, Python 3.11, 2026-11-29. poll(2) reports POLLHUP whatever it was asked for, so a mask of 0 asks whether
# anybody still has the other end of a pipe. gevent's `select.poll` waits with libev, which knows readable and writable
# only: with POLLIN it says POLLIN where all writers are gone, with 0 it says nothing, for ever. And its `os.close` of a
# pipe leaves the descriptor open until the hub's next turn, so who closes the writing end and looks at once, even by
# poll(2) itself, finds a writer: itself. A server that waits for "nobody writes any more" so waits until its deadline.
#
# Output seen:
#   plain: 0 -> [16], POLLIN -> [16], open behind close: False
#   gevent: 0 -> [], POLLIN -> [1], open behind close: True
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check gevent==26.9.0
cat > "$folder/hangup.py" <<'PYTHON'
import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()
import os, select, time


def pipe():
    reader, writer = os.pipe()
    os.close(writer)
    return reader, os.path.exists(f"/proc/self/fd/{writer}")


def polled(mask):
    reader, _ = pipe()
    time.sleep(0.01)  # a turn of the hub
    poll = select.poll()
    poll.register(reader, mask)
    return [events for _, events in poll.poll(50)]


print(f"{sys.argv[1]}: 0 -> {polled(0)}, POLLIN -> {polled(select.POLLIN)}, open behind close: {pipe()[1]}")
PYTHON
for kind in plain gevent; do
    "$folder/venv/bin/python" "$folder/hangup.py" "$kind"
done > "$folder/seen" 2> /dev/null
cat "$folder/seen"
[ "$(cat "$folder/seen")" = "plain: 0 -> [16], POLLIN -> [16], open behind close: False
gevent: 0 -> [], POLLIN -> [1], open behind close: True" ]
