#!/bin/sh
# unshare --fork tells of a command that SIGKILL ended as exit code 1, with a message about a signal mask.
#
# util-linux 2.38.1 (Debian 12), 2026-12-01. With --fork, unshare waits for its command and ends as that did; of a
# command that a signal ended, by sending itself the same signal. Before that it gives the signal its usual effect
# and unblocks it. For SIGKILL the kernel refuses the first (sigaction(2): EINVAL), and unshare says so in the words of
# the second and exits with 1. So a command in a namespace of its own that the out-of-memory killer, a supervisor
# or `kill -9` ended looks like one that failed by itself, while all other signals are told rightly, and setsid --wait,
# flock, script -e and GNU time say 137. What helps: a shell within, `unshare --fork sh -c 'command; exit $?'`.
#
# Output seen:
#   TERM: 143
#   KILL: 1, unshare: sigprocmask unblock failed: Invalid argument
#   KILL, a shell within: 137
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export LC_ALL=C
unshare --version >&2
root=
[ "$(id -u)" = 0 ] || root=--map-root-user
ends() { # prints how unshare ended
    code=0
    sh -c 'unshare "$@" 2> said; exit $?' sh $root --fork sh -c "$1" 2> /dev/null || code=$?
    echo "$code"
}
{
    # shellcheck disable=SC2016
    echo "TERM: $(ends 'kill -TERM $$')"
    echo "KILL: $(ends 'kill -KILL $$'), $(cat said)"
    echo "KILL, a shell within: $(ends 'sh -c "kill -KILL \$\$"; exit $?')"
} | tee seen
printf '%s\n' "TERM: 143" "KILL: 1, unshare: sigprocmask unblock failed: Invalid argument" \
    "KILL, a shell within: 137" | diff - seen
