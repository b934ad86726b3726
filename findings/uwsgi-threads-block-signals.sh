#!/bin/sh
# What a request starts under uWSGI with threads ignores SIGTERM: it inherits a mask that blocks all signals.
#
# uWSGI 2.0.31, Python 3.11, Linux, 2026-11-30. With --threads N a request is answered by the worker's main thread
# or by one of N - 1 others, and those block nearly every signal. A mask outlives fork and execve(2), and Python's
# subprocess does not reset it, so that `Popen(["sleep", "60"]).terminate()` does nothing there, a shell's `trap`
# is never run, and a program that waits for SIGCHLD waits for ever; by which thread the request came decides.
# `preexec_fn`, or setsigmask=[] of os.posix_spawn, resets it.
#
# Output seen (of 12 requests at the same moment, each of which starts a `sleep 60` and terminates it):
#   ended by SIGTERM: by main threads only
#   Popen: SIGTERM was blocked in every child of another thread
#   posix_spawn with setsigmask=[]: blocked in none
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
server=
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check uwsgi==2.0.31
cat > app.py <<'PYTHON'
import json
import os
import signal
import subprocess
import threading
import time


def blocked(pid):
    with open(f"/proc/{pid}/status") as status:
        mask = next(line.split()[1] for line in status if line.startswith("SigBlk"))
    return bool(int(mask, 16) & 1 << signal.SIGTERM - 1)


def app(environ, start_response):
    time.sleep(0.3)  # so that each thread has one
    child = subprocess.Popen(["sleep", "60"])
    spawned = os.posix_spawnp("sleep", ["sleep", "60"], os.environ, setsigmask=[])
    said = {"main": threading.get_native_id() == os.getpid(), "popen": blocked(child.pid), "spawn": blocked(spawned)}
    child.terminate()
    try:
        said["ended"] = child.wait(1) == -signal.SIGTERM
    except subprocess.TimeoutExpired:
        said["ended"] = False
    child.kill()
    child.wait()
    os.kill(spawned, signal.SIGKILL)
    os.waitpid(spawned, 0)
    body = json.dumps(said).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
PYTHON
cat > ask.py <<'PYTHON'
import json
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor


def ask(_):
    for _ in range(100):
        try:
            with urllib.request.urlopen(sys.argv[1], timeout=30) as reply:
                return json.load(reply)
        except ConnectionRefusedError:
            time.sleep(0.1)


with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(ask, range(12)))
others = [answer for answer in answers if not answer["main"]]
only = len(others) > 0 and all(answer["ended"] == answer["main"] for answer in answers)
print("ended by SIGTERM: by main threads only" if only else f"ended by SIGTERM: {answers}")
every = all(answer["popen"] for answer in others)
print(f"Popen: SIGTERM was blocked in {'every child' if every else 'not every child'} of another thread")
none = not any(answer["spawn"] for answer in answers)
print(f"posix_spawn with setsigmask=[]: blocked in {'none' if none else 'some'}")
PYTHON
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/uwsgi --http-socket "127.0.0.1:$port" --wsgi-file app.py --callable app --master --threads 4 \
    --die-on-term > uwsgi.log 2>&1 &
server=$!
python3 ask.py "http://127.0.0.1:$port/" | tee seen
printf '%s\n' "ended by SIGTERM: by main threads only" \
    "Popen: SIGTERM was blocked in every child of another thread" \
    "posix_spawn with setsigmask=[]: blocked in none" | diff - seen
