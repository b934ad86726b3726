#!/bin/sh
# Of two threads that are the first to import redis, one of them by a module in it, one fails or both do.
#
# redis-py 8.1.0, Python 3.11, Linux, 2026-11-30. While one thread runs `import redis`, another that runs
# `from redis.connection import ...` gets an ImportError ("partially initialized module"), or makes the first one
# fail: with redis.connection there is a _DeadlockError of the import locks, too. redis/__init__.py imports its
# modules in a circle, so each thread holds the lock of a module that the other one needs, and Python then gives
# out one that is half done. Threaded servers that import a client in a request meet this at their first two
# requests. With redis-py 6.0.0 the same threads go well; and so does 8.1.0 if both begin with `import redis`.
#
# Output seen:
#   redis.connection: failed
#   redis.client: failed
#   redis: went well
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check redis==8.1.0
cat > "$folder/both.py" <<'PYTHON'
import importlib, sys, threading

failed = []

def load(name):
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(error)

first = threading.Thread(target=load, args=("redis",))
first.start()
while "redis" not in sys.modules:  # the first one is in the package now
    pass
load(sys.argv[1])
first.join()
print(f"{sys.argv[1]}: {'failed' if failed else 'went well'}")
PYTHON
for module in redis.connection redis.client redis; do
    "$folder/venv/bin/python" "$folder/both.py" $module
done | tee "$folder/seen"
printf '%s\n' "redis.connection: failed" "redis.client: failed" "redis: went well" | diff - "$folder/seen"
