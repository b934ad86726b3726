#!/bin/sh
# `stdbuf` keeps a program that is linked against musl from starting, wherever in a pipeline it is.
#
# GNU coreutils 9.1, musl 1.2.3, Debian 12, 2026-11-29. stdbuf sets LD_PRELOAD to a library that is made for
# glibc, and the variable is inherited by all that its program starts. glibc's loader reports a library that
# it cannot load and goes on; musl's ends the program (127) where a symbol is missing. So `stdbuf -oL` before
# a script stops each musl program that the script starts, and the message is about a library that nobody
# named. A program that is linked statically starts, and is not line-buffered.
#
# Output seen:
#   plain: hello, exit code 0
#   stdbuf -oL: Error relocating /usr/libexec/coreutils/libstdbuf.so: __fprintf_chk: symbol not found, exit code 127
#   stdbuf -oL sh -c: Error relocating /usr/libexec/coreutils/libstdbuf.so: __fprintf_chk: symbol not found, exit code 127
#   static, stdbuf -oL: hello, exit code 0
# Exits non-zero when that changes.
# Needs musl-gcc (Debian: musl-tools).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n' > "$folder/hello.c"
musl-gcc -o "$folder/hello" "$folder/hello.c"
musl-gcc -static -o "$folder/static" "$folder/hello.c"
said() {
    name=$1
    shift
    code=0
    text=$("$@" 2>&1) || code=$?
    echo "$name: $text, exit code $code"
}
said "plain" "$folder/hello"
first=$(said "stdbuf -oL" stdbuf -oL "$folder/hello")
echo "$first"
said "stdbuf -oL sh -c" stdbuf -oL sh -c "$folder/hello; exit \$?"
said "static, stdbuf -oL" stdbuf -oL "$folder/static"
case $first in
    *"Error relocating"*"exit code 127") ;;
    *) exit 1 ;;
esac
