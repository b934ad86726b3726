#!/bin/sh
# After a graceful shutdown by SIGTERM, uvicorn's process runs no atexit handler.
#
# uvicorn 0.54.0, Python 3.11, Linux, 2026-11-29. uvicorn handles SIGTERM, waits for its requests, ends the
# lifespan, and then raises the signal once more with the handlers of before (Server.capture_signals): the
# process is killed by it, status -15, and the interpreter does not finish. SIGINT ends the same server through
# KeyboardInterrupt, and there the atexit handlers run. What must be done at the end of a process belongs in
# lifespan.shutdown, which comes in both cases; libraries that rely on atexit miss every `systemctl stop`.
#
# Output seen:
#   SIGTERM: status -15, lifespan.shutdown, no atexit
#   SIGINT: status 0, lifespan.shutdown, atexit
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check uvicorn==0.54.0
cat > "$folder/app.py" <<'PYTHON'
import atexit

atexit.register(lambda: print("atexit", flush=True))

async def app(scope, receive, send):
    while True:
        message = await receive()
        print(message["type"], flush=True)
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
PYTHON
cat > "$folder/end.py" <<'PYTHON'
import signal, subprocess, sys

for number in (signal.SIGTERM, signal.SIGINT):
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "app:app"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "Uvicorn running" not in server.stderr.readline():
        pass
    server.send_signal(number)
    said = server.communicate(timeout=30)[0]
    shut = "lifespan.shutdown" if "lifespan.shutdown" in said else "no lifespan.shutdown"
    print(f"{number.name}: status {server.returncode}, {shut}, {'atexit' if 'atexit' in said else 'no atexit'}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" end.py | tee "$folder/seen"
printf '%s\n' "SIGTERM: status -15, lifespan.shutdown, no atexit" "SIGINT: status 0, lifespan.shutdown, atexit" | diff - "$folder/seen"
