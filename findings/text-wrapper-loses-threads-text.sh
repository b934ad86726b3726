#!/bin/sh
# io.TextIOWrapper loses text that other threads write while its buffer's write() lets them run.
#
# CPython 3.11.7, 2026-11-29, and every other 3.11: the mending (python/cpython#119506) came with 3.12.4 and 3.13, and
# 3.11 gets security fixes only by then. Four threads write 50,000 whole lines each, one call a line. When the
# wrapper has 8 KiB it hands them to buffer.write(), and sets aside the line that did not fit: over those that
# other threads wrote meanwhile. So a stream of one's own below a text stream, with a lock, a socket or a log behind
# it, must not let other threads run in write(): here a method in C (deque.append) in its place loses none.
#
# Output seen:
#   write() in Python: lines are lost
#   write() in C: none
# Exits non-zero when that changes.
set -eu
python3.11 - <<'PYTHON'
import collections
import io
import sys
import threading
import time


class Buffer(io.BufferedIOBase):
    def __init__(self):
        self.pieces = collections.deque()

    def writable(self):
        return True

    def write(self, data):
        time.sleep(0.0001)  # as a lock, or a write to a socket, would have others run
        self.pieces.append(bytes(data))
        return len(data)


def lost(buffer):
    text = io.TextIOWrapper(buffer, "utf-8")

    def work(number):
        for line in range(50_000):
            text.write(f"{number} {line}\n")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text.flush()
    return 200_000 - b"".join(buffer.pieces).count(b"\n")


in_python, in_c = Buffer(), Buffer()
in_c.write = in_c.pieces.append
sys.setswitchinterval(1e-5)  # with 5 ms, the default, it takes longer to see
found = [lost(in_python), lost(in_c)]
print("write() in Python:", "lines are lost" if found[0] else "none")
print("write() in C:", "lines are lost" if found[1] else "none")
print(sys.version.split()[0], found, file=sys.stderr)
sys.exit(not (found[0] > 0 and found[1] == 0))
PYTHON
