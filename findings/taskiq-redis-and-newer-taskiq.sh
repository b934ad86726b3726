#!/usr/bin/env bash
# taskiq-redis 1.0.9 says that it works with taskiq up to 1, and cannot be imported with taskiq 0.13.0.
#
# taskiq-redis 1.0.9, taskiq 0.13.0 and 0.12.6, Python 3.11, 2026-11-30. It requires `taskiq (>=0.11.12,<1)`, so
# pip installs the two and `pip check` finds nothing wrong. taskiq 0.13.0 has no `model_dump` in `taskiq.compat`
# any more, which taskiq-redis imports. It is also the last version that takes redis-py below 6: whoever has
# another worker that needs that (arq 0.28.0 does) gets these versions from the resolver, and a worker that
# does not start. What helps is `taskiq<0.13` beside it.
#
# Output seen:
#   taskiq 0.13.0: pip check: No broken requirements found.
#   taskiq 0.13.0: ImportError: cannot import name 'model_dump' from 'taskiq.compat'
#   taskiq 0.12.6: pip check: No broken requirements found.
#   taskiq 0.12.6: imported
# Exits non-zero when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
for version in 0.13.0 0.12.6; do
    env/bin/pip install -q --disable-pip-version-check arq==0.28.0 taskiq-redis==1.0.9 "taskiq==$version" 2> /dev/null
    echo "taskiq $version: pip check: $(env/bin/pip check --disable-pip-version-check 2> /dev/null)"
    said=$(env/bin/python -c 'import taskiq_redis; print("imported")' 2>&1 | tail -n 1 || true)
    echo "taskiq $version: ${said%% (*}"
done | tee seen
diff - seen << 'EXPECTED'
taskiq 0.13.0: pip check: No broken requirements found.
taskiq 0.13.0: ImportError: cannot import name 'model_dump' from 'taskiq.compat'
taskiq 0.12.6: pip check: No broken requirements found.
taskiq 0.12.6: imported
EXPECTED
