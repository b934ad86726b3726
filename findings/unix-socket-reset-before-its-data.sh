#!/bin/sh
# SOCK_SEQPACKET reports "connection reset" before the messages that the peer sent, SOCK_STREAM behind them.
#
# Linux 6.18.44, socketpair(AF_UNIX), Python 3.11.7, 2026-11-29. The peer sends two messages and closes its end.
# Usually both are received, and then comes the end of file. If there was one message that the peer itself had not
# read, a stream returns the bytes, then ECONNRESET, then the end. With SOCK_SEQPACKET ECONNRESET comes first, once, and the
# next two calls return the messages as if nothing had been. So a reader that takes ECONNRESET for the end loses
# what is still there: the last words of a worker, say, that exited with a request in its queue.
#
# Output seen:
#   seqpacket, all was read: one two end
#   seqpacket, one unread: reset one two end
#   stream, all was read: onetwo end
#   stream, one unread: onetwo reset end
# Exits non-zero when that changes.
set -eu
exec python3 - <<'PYTHON'
import socket
import sys


def received(kind, unread):
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    if unread:
        ours.send(b"request")
    theirs.send(b"one")
    theirs.send(b"two")
    theirs.close()
    words = []
    while not words or words[-1] != "end":
        try:
            words.append(ours.recv(100).decode() or "end")
        except ConnectionResetError:
            words.append("reset")
    return " ".join(words)


seen = [
    f"{name}, {'one unread' if unread else 'all was read'}: {received(kind, unread)}"
    for name, kind in (("seqpacket", socket.SOCK_SEQPACKET), ("stream", socket.SOCK_STREAM))
    for unread in (False, True)
]
print("\n".join(seen))
expected = [
    "seqpacket, all was read: one two end",
    "seqpacket, one unread: reset one two end",
    "stream, all was read: onetwo end",
    "stream, one unread: onetwo reset end",
]
sys.exit(seen != expected)
PYTHON
