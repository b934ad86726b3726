#!/bin/sh
# prompt_toolkit scrolls the whole screen away at each prompt when a terminal says that the cursor is in row 1.
#
# prompt_toolkit 3.0.53, Python 3.11, Linux, 2026-11-29. A pty without a terminal behind it (a CI runner, expect, a
# recorder) must reply to CSI 6n, or prompt_toolkit, and IPython with it, prints after 2 s "WARNING: your
# terminal doesn't support cursor position requests (CPR)." into the output. The obvious fixed reply, CSI 1;1R,
# makes it draw as high as the screen is from there on: below each prompt it writes rows - 1 empty lines and
# moves back up, so all that was on the screen is scrolled away, and a log of it is mostly blank. CSI ROWS;1R,
# the bottom row, gives neither.
#
# Output seen (24 rows; line feeds before the prompt is answered):
#   no reply: 0 line feeds, warning
#   row 1: 23 line feeds
#   row 24: 0 line feeds
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check prompt_toolkit==3.0.53
cat > ask.py <<'PY'
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

def shown(reply):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-c", "import prompt_toolkit as p; p.prompt('Name: ')"])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    out, until = b"", time.monotonic() + 30
    while time.monotonic() < until:
        if select.select([fd], [], [], 0.1)[0]:
            out += (data := os.read(fd, 65536))
            if b"\x1b[6n" in data:
                until = time.monotonic() + 4
                if reply:
                    os.write(fd, reply)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return out

for name, reply in (("no reply", b""), ("row 1", b"\x1b[1;1R"), ("row 24", b"\x1b[24;1R")):
    out = shown(reply)
    warned = b"doesn't support cursor position requests" in out
    feeds = out.partition(b"WARNING")[0].count(b"\n") - warned
    print(f"{name}: {max(feeds, 0)} line feeds" + (", warning" if warned else ""))
PY
env/bin/python ask.py | tee seen
cat > expected <<'TEXT'
no reply: 0 line feeds, warning
row 1: 23 line feeds
row 24: 0 line feeds
TEXT
diff expected seen
