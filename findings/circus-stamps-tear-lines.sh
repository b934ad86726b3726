#!/bin/sh
# circus that puts a time before each line of a program's output makes two lines of one that was written in two parts.
#
# circus 0.19.0, Python 3.11, 2026-12-01. Its FileStream with time_format puts time and process id before "each line".
# What a read of the pipe returned is cut at its line ends, and gets one at its end, whether it had none or several.
# So "testing ... " and "ok", which test runners, configure scripts and installers write with a pause between
# them, are two lines in the log, and no reader can tell which were one; empty lines at the end of a piece are gone.
# Without time_format the bytes are kept.
# What helps: a stream class of one's own that holds an unfinished line, or stamps by `ts` in the command.
#
# Output seen:
#   plain: testing 1 ... ok||testing 2 ... ok|
#   stamped: testing 1 ... |ok|testing 2 ... |ok
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check circus==0.19.0
cat > tests.py <<'PYTHON'
import os
import time

for number in b"12":
    os.write(1, b"testing %c ... " % number)
    time.sleep(0.4)
    os.write(1, b"ok\n\n")
    time.sleep(0.4)
PYTHON
cat > watch.py <<'PYTHON'
import sys

from circus import get_arbiter

stamp = {"time_format": "%Y"} if sys.argv[1] == "stamped" else {}
stream = {"class": "FileStream", "filename": sys.argv[1], **stamp}
command = f"{sys.executable} tests.py"
arbiter = get_arbiter(
    [{"name": "tests", "cmd": command, "stdout_stream": stream, "respawn": False, "copy_env": True}],
    controller="ipc://control", pubsub_endpoint="ipc://published", check_delay=1,
)
arbiter.start()
PYTHON
for kind in plain stamped; do
    timeout 20 venv/bin/python watch.py $kind > /dev/null 2> errors &
    running=$!
    tries=0
    until grep -q . $kind 2> /dev/null && [ "$(grep -c 'ok$' $kind)" = 2 ]; do
        tries=$((tries + 1))
        [ $tries -lt 150 ] || { cat errors; exit 1; }
        sleep 0.1
    done
    kill $running
    wait $running || true
    echo "$kind: $(sed 's/^.* | //' $kind | paste -sd '|')"
done | tee seen
printf '%s\n' "plain: testing 1 ... ok||testing 2 ... ok|" "stamped: testing 1 ... |ok|testing 2 ... |ok" | diff - seen
