#!/bin/sh
# script --append keeps the output of before, not its timing: a replay shows the first session at the last one's pace.
#
# util-linux 2.38.1 (Debian 12), 2026-12-01. `script -a -T timing -O typescript` is what one takes to record several
# sessions into one. The manual says that -a appends "to file or to typescript". The timing file is begun anew, and
# no message says so; scriptreplay counts its bytes from the beginning of the typescript. So it shows other output
# than the times belong to, ends with exit code 0 wherever the bytes are used up, and never comes to the session that
# was recorded last. What helps: a pair of files for each session.
#
# Output seen:
#   typescript: one two six ten, timing: 10 bytes
#   replayed: one two
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export LC_ALL=C
script --version >&2
for words in "one two" "six ten"; do
    for word in $words; do echo "echo $word; sleep 0.2"; done > session
    script -qa -T timing -O typescript -c "sh session" < /dev/null > /dev/null
done
said=$(tr -d '\r' < typescript | grep -E '^[a-z]{3}$' | paste -sd ' ')
{
    echo "typescript: $said, timing: $(awk '{ bytes += $2 } END { print bytes }' timing) bytes"
    scriptreplay -T timing -O typescript > replayed
    echo "replayed: $(tr -d '\r' < replayed | grep -E '^[a-z]{3}$' | paste -sd ' ')"
} | tee seen
printf '%s\n' "typescript: one two six ten, timing: 10 bytes" "replayed: one two" | diff - seen
