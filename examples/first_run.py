"""Start a command and show its output while it is produced."""

import runcast

run = runcast.start(
    "for i in $(seq 10); do echo step $i; sleep 1; done; exit 3",
    shell=True,
    name="count",
)
print("run", run.id)
for line in run.lines():
    print(line)
print(run.wait())
