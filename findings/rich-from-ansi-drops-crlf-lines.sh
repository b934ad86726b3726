#!/bin/sh
# rich shows nothing of what a program wrote to a terminal: Text.from_ansi() empties every line that ends in CR LF.
#
# rich 15.0.0, Python 3.11, Linux, 2026-12-01. Text.from_ansi() and AnsiDecoder are there to show captured output, and
# a pty ends each line with CR LF. 14.3.3 splits at both; 15.0.0 splits at LF, takes the CR that is left for a
# return to the start of the line, and keeps what stands behind it: nothing. There is no exception, and of a whole
# run only its empty lines are left (Textualize/rich#4090, open when read). Besides, both versions know an OSC by
# ESC \ only: of a title that ends with BEL, as shells set it, they look for the end in the next hyperlink of the
# line, and the text between the two is gone. What helps: replace CR LF by LF, and titles by nothing, before.
#
# Output seen:
#   14.3.3: 'one\ntwo' of script(1), 'a link' behind a title that ends with ESC \, 'link' with BEL
#   15.0.0: '\n\n' of script(1), 'a link' behind a title that ends with ESC \, 'link' with BEL
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > show.py <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

from rich.text import Text

command = ["script", "-qc", "echo one; echo two", "/dev/null"]
written = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
if written != b"one\r\ntwo\r\n":
    sys.exit(f"the terminal gave {written}")
LINK = "\x1b]8;;http://example.com\x1b\\link\x1b]8;;\x1b\\"
lines, st, bel = (
    Text.from_ansi(text).plain
    for text in (written.decode(), f"\x1b]0;title\x1b\\a {LINK}", f"\x1b]0;title\aa {LINK}")
)
print(f"{version('rich')}: {lines!r} of script(1), {st!r} behind a title that ends with ESC \\, {bel!r} with BEL")
PYTHON
for version in 14.3.3 15.0.0; do
    python3 -m venv "venv$version"
    "venv$version/bin/pip" -q install --disable-pip-version-check "rich==$version"
    "venv$version/bin/python" show.py
done | tee seen
cat > expected <<'TEXT'
14.3.3: 'one\ntwo' of script(1), 'a link' behind a title that ends with ESC \, 'link' with BEL
15.0.0: '\n\n' of script(1), 'a link' behind a title that ends with ESC \, 'link' with BEL
TEXT
diff expected seen
