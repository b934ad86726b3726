#!/bin/sh
# A chunk size cut behind a leading zero is the end of the body, to cheroot.
#
# cheroot 11.1.2, Python 3.11, 2026-11-29. A client sends a chunked body whose second chunk has the size `0A`
# (leading zeros are valid, RFC 9112, section 7.1), and its connection ends between the two digits. cheroot
# reads the size with readline() and does not look whether the line has its end: `0` is the last chunk.
# The application gets the first chunk as a complete body, without an exception. Cut behind `1` of `1A`,
# the same server raises ValueError: Bad chunked transfer coding. So an application cannot rely on it.
#
# Output seen:
#   cut behind "0" of "0A": b'hello'
#   cut behind "1" of "1A": ValueError
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check cheroot==11.1.2
cat > "$folder/cut.py" <<'PYTHON'
import queue, socket, threading
from cheroot import wsgi

got = queue.Queue()

def app(environ, start_response):
    try:
        got.put(repr(environ["wsgi.input"].read(1000)))
    except Exception as error:
        got.put(type(error).__name__)
    start_response("200 OK", [("Content-Length", "0")])
    return []

server = wsgi.Server(("127.0.0.1", 0), app)
server.prepare()
threading.Thread(target=server.serve, daemon=True).start()
for size in ("0A", "1A"):
    with socket.create_connection(server.bind_addr) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + size[:1].encode())
        client.shutdown(socket.SHUT_WR)
        print(f'cut behind "{size[0]}" of "{size}": {got.get(timeout=10)}')
server.stop()
PYTHON
"$folder/venv/bin/python" "$folder/cut.py" | tee "$folder/seen"
printf '%s\n' "cut behind \"0\" of \"0A\": b'hello'" 'cut behind "1" of "1A": ValueError' | diff - "$folder/seen"
