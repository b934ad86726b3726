#!/bin/sh
# A client that closes its sending side behind a whole request gets no late reply from some servers.
#
# uvicorn 0.54.0 (httptools 0.9.0 and h11 0.16.0), hypercorn 0.18.0, daphne 4.2.3; Python 3.11, 2026-11-29. The request is
# whole (Content-Length: 2, two bytes), then the client calls shutdown(SHUT_WR), as `nc -N` does, and reads.
# The application answers after 0.3 s. TCP goes on in the other direction, and hypercorn sends the reply. uvicorn
# and daphne close the connection without one: the client cannot tell whether its request was done.
#
# Output seen:
#   uvicorn httptools: open reply, half-closed nothing
#   uvicorn h11: open reply, half-closed nothing
#   hypercorn: open reply, half-closed reply
#   daphne: open reply, half-closed nothing
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check daphne==4.2.3 h11==0.16.0 httptools==0.9.0 hypercorn==0.18.0 uvicorn==0.54.0 
cat > "$folder/app.py" <<'PYTHON'
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = (await receive())["body"]
    await asyncio.sleep(0.3)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
PYTHON
cat > "$folder/ask.py" <<'PYTHON'
import os, signal, socket, subprocess, sys, time

SERVERS = {
    "uvicorn httptools": ["-m", "uvicorn", "--http", "httptools", "--log-level", "error", "app:app", "--port"],
    "uvicorn h11": ["-m", "uvicorn", "--http", "h11", "--log-level", "error", "app:app", "--port"],
    "hypercorn": ["-m", "hypercorn", "--log-level", "error", "app:app", "--bind"],
    "daphne": ["-m", "daphne", "-v", "0", "app:app", "--port"],
}

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]

def ask(port, half_close):
    deadline = time.monotonic() + 20
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port))
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    with client:
        client.settimeout(10)
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
        if half_close:
            client.shutdown(socket.SHUT_WR)
        reply = b""
        while data := client.recv(65536):
            reply += data
    return "reply" if reply.endswith(b"\r\n\r\nhi") else "nothing" if not reply else repr(reply)

for name, arguments in SERVERS.items():
    port = free_port()
    where = f"127.0.0.1:{port}" if name == "hypercorn" else str(port)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, *arguments, where], start_new_session=True, **quiet)
    try:
        print(f"{name}: open {ask(port, False)}, half-closed {ask(port, True)}")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
PYTHON
cd "$folder"
"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"
diff - "$folder/seen" <<'SEEN'
uvicorn httptools: open reply, half-closed nothing
uvicorn h11: open reply, half-closed nothing
hypercorn: open reply, half-closed reply
daphne: open reply, half-closed nothing
SEEN
