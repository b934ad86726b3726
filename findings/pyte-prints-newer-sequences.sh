#!/bin/sh
# pyte, the terminal in Python, shows parts of newer escape sequences as text, and underlines all that vim shows.
#
# pyte 0.8.2, Python 3.11, vim 9.0 (Debian 12), 2026-12-01. It is what programs take to see a screen without a terminal.
# Vim sets a mode of xterm's keyboard by CSI > 4 ; 2 m when it starts. pyte drops the `>` and reads SGR 4: everything
# is underlined from there on. Parameters apart by colons (ISO 8613-6, which kitty, foot and newer tools use for curly
# lines and colors) end a sequence for pyte, and the rest stands on the screen; so does the payload of a device control
# string, by which tmux and vim ask a terminal what it can do. It has no alternate screen: what a full-screen program
# drew is still there when that has ended. What helps: take these out before `feed`, or tmux's capture-pane.
#
# Output seen:
#   keyboard mode of vim: 'text' underlined
#   curly underline: '3mtext'
#   color by colons: '2::10:20:30mtext'
#   question to the terminal: '+q544etext'
#   after a full-screen program: 'full$ '
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check pyte==0.8.2
cat > screen.py <<'PYTHON'
import pyte

for name, output in {
    "keyboard mode of vim": "\x1b[>4;2mtext",
    "curly underline": "\x1b[4:3mtext\x1b[m",
    "color by colons": "\x1b[38:2::10:20:30mtext\x1b[m",
    "question to the terminal": "\x1bP+q544e\x1b\\text",
    "after a full-screen program": "\x1b[?1049h\x1b[Hfull\x1b[?1049l$ ",
}.items():
    screen = pyte.Screen(24, 1)
    pyte.Stream(screen).feed(output)
    row = screen.display[0][: screen.cursor.x]
    print(f"{name}: {row!r}" + " underlined" * screen.buffer[0][0].underscore)
PYTHON
venv/bin/python screen.py | tee seen
diff - seen <<'SEEN'
keyboard mode of vim: 'text' underlined
curly underline: '3mtext'
color by colons: '2::10:20:30mtext'
question to the terminal: '+q544etext'
after a full-screen program: 'full$ '
SEEN
