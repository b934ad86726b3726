#!/bin/sh
# fsspec's cat_file(url, start) returns the whole file as its end, where a server does not know ranges.
#
# fsspec 2026.9.0 with aiohttp 3.14.5, Python 3.11, 2026-12-01. `start` and `end` are a slice of the file, so who
# follows a growing log by HTTP asks from what he has. cat_file() and cat_ranges() send Range and do not look whether
# the reply is 206: a server may ignore it (RFC 9110, section 14.2), as Python's http.server does, and its 200 with all
# bytes is returned as the slice. No exception, no warning: each poll appends the log from its first byte again.
# open() of the same file system looks, and raises ValueError; so does tail(), which uses it.
#
# Output seen:
#   cat_file(start=6): b'first\nsecond\n'
#   cat_file(start=6, end=9): b'first\nsecond\n'
#   open, seek(6), read: ValueError
#   followed by cat_file: b'first\nfirst\nsecond\n'
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check fsspec==2026.9.0 aiohttp==3.14.5
cat > ask.py <<'PYTHON'
import functools
import http.server
import threading

import fsspec


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def say(text):
    with open("files/log", "ab") as log:
        log.write(text)


handler = functools.partial(Quiet, directory="files")
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/log"
    remote = fsspec.filesystem("http")
    say(b"first\n")
    followed = remote.cat_file(url)
    say(b"second\n")
    followed += remote.cat_file(url, start=len(followed))
    print("cat_file(start=6):", remote.cat_file(url, start=6))
    print("cat_file(start=6, end=9):", remote.cat_file(url, start=6, end=9))
    try:
        with remote.open(url) as file:
            file.seek(6)
            print("open, seek(6), read:", file.read())
    except ValueError:
        print("open, seek(6), read: ValueError")
    print("followed by cat_file:", followed)
    server.shutdown()
PYTHON
mkdir files
venv/bin/python ask.py | tee seen
cat > expected <<'TEXT'
cat_file(start=6): b'first\nsecond\n'
cat_file(start=6, end=9): b'first\nsecond\n'
open, seek(6), read: ValueError
followed by cat_file: b'first\nfirst\nsecond\n'
TEXT
diff expected seen
