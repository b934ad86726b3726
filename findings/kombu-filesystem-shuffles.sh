#!/bin/sh
# Celery's broker in a folder (kombu's filesystem transport) hands out messages in another order than they were sent.
#
# kombu 5.7.0, Python 3.11, 2026-12-01. Its queue is taken for first in, first out. A message is a file named after
# milliseconds and a random id, and the first by name is taken: messages of the same millisecond come in the order of
# their random ids. And these are milliseconds since the machine was started (monotonic clock): after a restart, what
# is sent comes before what has waited since before it, for as long as the machine was up then. All arrive, once.
# kombu's memory transport keeps the order. What helps: tasks that need no order, or a number in the message.
#
# Output seen:
#   memory: 200 messages, 0 out of order
#   filesystem: 200 messages, some out of order
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check kombu==5.7.0
cat > order.py <<'PYTHON'
import kombu

ways = {
    "memory": kombu.Connection("memory://"),
    "filesystem": kombu.Connection(
        "filesystem://",
        transport_options={"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"},
    ),
}
for name, connection in ways.items():
    with connection:
        queue = connection.SimpleQueue("numbers")
        for number in range(200):
            queue.put(number)
        came = []
        for _ in range(200):
            message = queue.get(timeout=10)
            came.append(message.payload)
            message.ack()
    late = sum(after < before for before, after in zip(came, came[1:]))
    assert sorted(came) == list(range(200)), came
    print(f"{name}: {len(came)} messages, {'some' if late else 0} out of order")
PYTHON
mkdir queue control
venv/bin/python order.py | tee seen
printf '%s\n' "memory: 200 messages, 0 out of order" "filesystem: 200 messages, some out of order" | diff - seen
