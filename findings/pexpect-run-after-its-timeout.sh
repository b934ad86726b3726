#!/bin/sh
# pexpect.run() answers as usual when its time is over, after 30 s by default: with what came until then.
#
# pexpect 4.9.0, 2026-12-01. One would expect TIMEOUT to be raised, as by spawn.expect() of the same package and
# as subprocess.run() does. run() catches it (`except TIMEOUT` in pexpect/run.py) and returns the output so far.
# `timeout` is 30 s when nobody gives one, so the output of a command that takes longer is cut there, and the text
# alone does not say so. Only withexitstatus=True shows it, by None where the exit code would stand;
# `if status:` takes that for success. timeout=None waits.
#
# Output seen:
#   in time: b'first\r\nlast\r\n' 3
#   out of time: b'first\r\n' None
#   out of time, text alone: b'first\r\n'
#   by default: 30 s
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check pexpect==4.9.0 ptyprocess==0.7.0
cat > run.py <<'PYTHON'
import inspect

import pexpect

command = "sh -c 'echo first; sleep {}; echo last; exit 3'"
print("in time:", *pexpect.run(command.format(0), timeout=30, withexitstatus=True))
print("out of time:", *pexpect.run(command.format(4), timeout=2, withexitstatus=True))
print("out of time, text alone:", pexpect.run(command.format(4), timeout=2))
print("by default:", inspect.signature(pexpect.run).parameters["timeout"].default, "s")
PYTHON
venv/bin/python run.py | tee seen
cat > expected <<'TEXT'
in time: b'first\r\nlast\r\n' 3
out of time: b'first\r\n' None
out of time, text alone: b'first\r\n'
by default: 30 s
TEXT
diff expected seen
