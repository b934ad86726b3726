#!/bin/sh
# supervisord with strip_ansi takes text away behind an escape sequence that is no color, up to the next line.
#
# supervisor 4.3.0, Python 3.11, Linux, 2026-12-01. `strip_ansi=true` is to take the escape sequences out of the log. It
# knows fifteen final letters (H f A B C D R s u J K h l p m); of any other sequence it looks for the end in the text
# that follows, and takes all up to the first of these letters. `CSI 1 G`, "to the first column", is one that it
# does not know: Node's readline.cursorTo() writes it before each state of a progress line. What is lost depends on
# the words. A title (OSC) stays as it is.
#
# Output seen:
#   colors: 'green'
#   column 1: 'plete: 4 files'
#   column 1 and a number: 'tep 2' of two lines, '14/20' and 'step 2'
#   title: '\x1b]0;title\x07text'
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
supervisor=
trap 'kill $supervisor 2> /dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check supervisor==4.3.0
cat > say.py <<'PYTHON'
import sys

TO_COLUMN_1 = "\x1b[2K\x1b[1G"
sys.stdout.write(
    "\x1b[32mgreen\x1b[0m\n"
    f"{TO_COLUMN_1}complete: 4 files\n"
    f"{TO_COLUMN_1}14/20\nstep 2\n"
    "\x1b]0;title\atext\n"
)
PYTHON
cat > supervisord.conf <<CONF
[supervisord]
nodaemon=true
strip_ansi=true
logfile=$folder/supervisord.log
pidfile=$folder/supervisord.pid
[program:say]
command=python3 $folder/say.py
autorestart=false
startsecs=0
stdout_logfile=$folder/said
CONF
venv/bin/supervisord -c supervisord.conf > /dev/null 2>&1 &
supervisor=$!
tries=0
until grep -q "exited: say" supervisord.log 2> /dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || exit 1
    sleep 0.1
done
kill "$supervisor"
wait "$supervisor" || true
python3 - <<'PYTHON' | tee seen
with open("said") as said:
    colors, column, number, title = said.read().splitlines()
print(f"colors: {colors!r}")
print(f"column 1: {column!r}")
print(f"column 1 and a number: {number!r} of two lines, '14/20' and 'step 2'")
print(f"title: {title!r}")
PYTHON
cat > expected <<'TEXT'
colors: 'green'
column 1: 'plete: 4 files'
column 1 and a number: 'tep 2' of two lines, '14/20' and 'step 2'
title: '\x1b]0;title\x07text'
TEXT
diff expected seen
