#!/usr/bin/env bash
# A TLS transport with a write limit of 0 says that it is full when everything was sent, and that it is not at a write.
#
# Behaviour: transport.set_write_buffer_limits(high=0) asks a transport to call pause_writing() whenever it holds
# a byte, and resume_writing() when it holds none. Over TCP that is so. Over TLS, asyncio and uvloop alike, a write
# gives resume_writing() first, and pause_writing() behind it although everything was sent: the bytes that it holds
# are compared by "at least", so 0 of them are too many. The transport stays paused with an empty buffer until the
# next write. Who waits for resume_writing() behind a write, as StreamWriter.drain() does, waits for the next
# write, which comes behind that wait.
#
# Who meets it: servers that use a limit of 0, documented as a pause whenever anything is held,
# for back pressure by the byte; they work in plain tests, and stand still behind TLS.
# What to do: a limit of 1 over TLS, `set_write_buffer_limits(high=1, low=0)`: it behaves as 0 should.
#
# CPython 3.11.7 (asyncio), uvloop 0.22.1, OpenSSL 3.0, Linux 6.18.44-fc-v657, 2026-11-30. Output seen:
#   asyncio TCP high=0: 1000 bytes have arrived, it holds 0, its last word: none
#   asyncio TLS high=0: 1000 bytes have arrived, it holds 0, its last word: pause
#   asyncio TLS high=1: 1000 bytes have arrived, it holds 0, its last word: resume
#   uvloop TCP high=0: 1000 bytes have arrived, it holds 0, its last word: none
#   uvloop TLS high=0: 1000 bytes have arrived, it holds 0, its last word: pause
#   uvloop TLS high=1: 1000 bytes have arrived, it holds 0, its last word: resume
# Exits non-zero when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=$(command -v python3.11 || command -v python3)
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check uvloop==0.22.1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import asyncio
import ssl

import uvloop


class Writer(asyncio.Protocol):
    """Notes what its transport says."""

    def __init__(self, high, made):
        self.high, self.made, self.calls = high, made, []

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=self.high, low=0)
        self.made.set_result(self)

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")


async def look(tls, high):
    """Return what the transport holds when a write has arrived, and what it said last."""
    theirs = ours = None
    if tls:
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain("cert.pem", "key.pem")
        theirs = ssl.create_default_context(cafile="cert.pem")
        theirs.check_hostname = False
    loop = asyncio.get_running_loop()
    made = loop.create_future()
    server = await loop.create_server(lambda: Writer(high, made), "127.0.0.1", 0, ssl=ours)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=theirs)
    one = await made
    one.transport.write(bytes(1000))
    await reader.readexactly(1000)
    await asyncio.sleep(0.2)  # whatever it says later than that it has sent everything
    found = one.transport.get_write_buffer_size(), one.calls[-1] if one.calls else "none"
    writer.close()
    server.close()
    return found


EXPECTED = {(False, 0): "none", (True, 0): "pause", (True, 1): "resume"}
changed = []
for name, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
    for (tls, high), expected in EXPECTED.items():
        holds, last = run(look(tls, high))
        way = "TLS" if tls else "TCP"
        print(f"{name} {way} high={high}: 1000 bytes have arrived, it holds {holds}, its last word: {last}")
        if (holds, last) != (0, expected):
            changed.append((name, tls, high, holds, last))
assert not changed, changed
PY
