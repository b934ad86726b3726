#!/bin/sh
# ndjson.loads puts commas into texts that have a separator of lines other than LF.
#
# ndjson 0.3.1, httpx 0.28.1, Python 3.11, 2026-12-01. A line of newline-delimited JSON ends with LF alone. U+2028, U+2029
# and U+0085 may stand in a JSON string as they are (RFC 8259, section 7), and json.dumps(ensure_ascii=False),
# JSON.stringify and most encoders of other languages leave them. ndjson.loads takes str.splitlines, which cuts at
# these, too, and joins the pieces by commas: what was two halves of one string is one string again, with a comma
# where the separator was, and no error. ndjson.reader over a file keeps them. httpx's iter_lines cuts there as
# well: half a line is no JSON, so that is at least an error. What helps: an encoder that writes ASCII, or a reader of
# iter_bytes that cuts at LF.
#
# Output seen:
#   ndjson.loads: ['first,second', 'third']
#   ndjson.reader: ['first\u2028second', 'third']
#   httpx.iter_lines: 3 lines of 2
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check ndjson==0.3.1 httpx==0.28.1
cat > lines.py <<'PYTHON'
import http.server
import io
import json
import threading

import httpx
import ndjson

body = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in ("first\u2028second", "third"))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson; charset=utf-8")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *of):
        pass


with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.handle_request).start()
    with httpx.stream("GET", f"http://127.0.0.1:{server.server_port}/", trust_env=False) as reply:
        lines = list(reply.iter_lines())
print("ndjson.loads:", ascii(ndjson.loads(body)))
print("ndjson.reader:", ascii(list(ndjson.reader(io.StringIO(body)))))
print("httpx.iter_lines:", len(lines), "lines of 2")
PYTHON
venv/bin/python lines.py | tee seen
diff - seen <<'SEEN'
ndjson.loads: ['first,second', 'third']
ndjson.reader: ['first\u2028second', 'third']
httpx.iter_lines: 3 lines of 2
SEEN
