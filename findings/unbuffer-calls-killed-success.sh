#!/bin/sh
# unbuffer exits with 0 when its program was killed by a signal, and with -p whatever the program says.
#
# unbuffer of expect 5.45.4 (Debian 5.45.4-2+b1, Tcl 8.6.13), 2026-12-01. It is put before a program so that this
# writes its lines at once. It passes on an exit code, so one would expect 128 + n of a program that signal n ended, as
# of a shell, env or `script -e`. It takes the fourth word of Expect's `wait`, which is 0 then; CHILDKILLED comes
# behind it. With -p, for the middle of a pipeline, it does not ask at all. So a build that the kernel's OOM killer
# ended has succeeded, also under `set -o pipefail`. The manual says nothing of exit codes.
# What helps: `script -qec 'program' /dev/null`.
#
# Output seen:
#   exit 3: sh 3, script -e 3, unbuffer 3, unbuffer -p 0
#   kill -KILL $$: sh 137, script -e 137, unbuffer 0, unbuffer -p 0
#   kill -SEGV $$: sh 139, script -e 139, unbuffer 0, unbuffer -p 0
# Exits non-zero when that changes.
# Needs the package lists of Debian 12 (apt-get update).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download expect=5.45.4-2+b1 tcl-expect=5.45.4-2+b1 tcl8.6=8.6.13+dfsg-2 libtcl8.6=8.6.13+dfsg-2 2> apt.log ||
    { cat apt.log; exit 1; }
for package in *.deb; do dpkg -x "$package" root; done
export TCL_LIBRARY="$folder/root/usr/share/tcltk/tcl8.6"
for libraries in root/usr/lib/*-linux-gnu; do export LD_LIBRARY_PATH="$folder/$libraries"; done

# By `expect`, which is linked with Expect: what tclsh loads it from is the path of an installed package.
unbuffer() {
    root/usr/bin/expect root/usr/bin/unbuffer "$@"
}

code() {
    status=0
    "$@" > said 2>&1 < /dev/null || status=$?
}

for what in "exit 3" "kill -KILL \$\$" "kill -SEGV \$\$"; do
    line="$what:"
    code sh -c "$what"
    line="$line sh $status,"
    code script -qec "$what" /dev/null
    line="$line script -e $status,"
    code unbuffer sh -c "echo it runs; $what"
    grep -q "it runs" said
    line="$line unbuffer $status,"
    code unbuffer -p sh -c "$what"
    echo "$line unbuffer -p $status"
done | tee seen
cat > expected <<'TEXT'
exit 3: sh 3, script -e 3, unbuffer 3, unbuffer -p 0
kill -KILL $$: sh 137, script -e 137, unbuffer 0, unbuffer -p 0
kill -SEGV $$: sh 139, script -e 139, unbuffer 0, unbuffer -p 0
TEXT
diff expected seen
