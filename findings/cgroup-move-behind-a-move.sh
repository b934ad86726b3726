#!/bin/sh
# Moving a process into a cgroup takes milliseconds, or microseconds if another was moved just before.
#
# Linux 6.18.44, cgroup2 mounted without `favordynmods`, two cores, 2026-11-29. One process is moved there and back
# between two groups. With a pause of 50 ms before each move, a write to cgroup.procs takes milliseconds: it takes
# cgroup_threadgroup_rwsem for writing, and its readers, all forks and exits of the machine, first have to be told by an
# RCU grace period. Behind another move that is still so, for a while, and the write takes 5 us.
# So a benchmark that moves processes in a loop says nothing about a move that comes alone, as with each start of a job.
# Needs root and a cgroup2 that is writable. The groups are removed.
#
# Output seen (with 13,836 to 19,349 us alone and 5 us behind another, in three runs):
#   alone: milliseconds
#   behind another: less than a fifth of that
# Exits non-zero when that changes.
set -eu
exec python3 - <<'PYTHON'
import os, statistics, sys, time

with open("/proc/self/mounts") as file:
    mounts = [line.split() for line in file]
mount = next((fields[1] for fields in mounts if fields[2] == "cgroup2"), None)
if mount is None or os.geteuid() != 0:
    sys.exit("needs root and a cgroup2")
groups = [f"{mount}/finding-{os.getpid()}-{number}" for number in range(2)]


def move(number):
    fd = os.open(f"{groups[number % 2]}/cgroup.procs", os.O_WRONLY)
    begun = time.perf_counter()
    os.write(fd, str(child).encode())
    taken = time.perf_counter() - begun
    os.close(fd)
    return taken


child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
try:
    for group in groups:
        os.mkdir(group)
    alone = []
    for number in range(30):
        time.sleep(0.05)
        alone.append(move(number))
    behind = statistics.median([move(number) for number in range(300)])
finally:
    os.kill(child, 9)
    os.waitpid(child, 0)
    for group in groups:
        os.rmdir(group)
alone = statistics.median(alone)
print(f"{alone * 1e6:.0f} us alone, {behind * 1e6:.0f} us behind another", file=sys.stderr)
print("alone:", "milliseconds" if alone > 0.001 else "less than a millisecond")
print("behind another:", "less than a fifth of that" if behind < alone / 5 else "about as long")
sys.exit(not (alone > 0.001 and behind < alone / 5))
PYTHON
