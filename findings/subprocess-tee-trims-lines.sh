#!/bin/sh
# subprocess-tee takes the blanks from the end of every line, and adds a newline where there was none.
#
# subprocess-tee 0.4.2, 2026-12-01. Its run() is offered in place of subprocess.run(), so one would expect the same
# stdout. It decodes line by line, calls rstrip() on each, and joins them again with newlines. So a tab-separated
# row loses its empty last cells, an empty context line of a diff its blank, CR LF becomes LF, and a prompt without
# a newline gets one: in `stdout` of the result and in what is shown while the program runs.
#
# Output seen:
#   subprocess: 'id\tname\t\t\r\n \nno newline'
#   subprocess-tee: 'id\tname\n\nno newline\n'
#   shown: 'id\tname\n\nno newline\n'
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check subprocess-tee==0.4.2
cat > run.py <<'PYTHON'
import contextlib
import io
import subprocess

import subprocess_tee

command = ["printf", r"id\tname\t\t\r\n \nno newline"]
print("subprocess:", repr(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()))
with contextlib.redirect_stdout(io.StringIO()) as shown:
    result = subprocess_tee.run(command)
print("subprocess-tee:", repr(result.stdout))
print("shown:", repr(shown.getvalue()))
PYTHON
venv/bin/python run.py | tee seen
cat > expected <<'TEXT'
subprocess: 'id\tname\t\t\r\n \nno newline'
subprocess-tee: 'id\tname\n\nno newline\n'
shown: 'id\tname\n\nno newline\n'
TEXT
diff expected seen
