#!/bin/sh
# plumbum throws away what the first command of a pipeline says on stderr, and raises the exit code of that command.
#
# plumbum 2.0.2, 2026-12-01. A command that fails raises ProcessExecutionError with its stderr. One would expect the
# same of `first | second`, or stderr passed on as a shell does. The exit code is the first command's (a shell
# with pipefail), but stderr is read of the last command only: the first one's goes to a pipe of its own, which
# neither a call, run() nor TEE reads. So the exception of a pipeline that failed says everything but why.
# iter_lines() does read it. Reported for FG in 2015 (tomerfiliba/plumbum#240, open when read).
#
# Output seen:
#   one command: 3 'out\n' 'why\n'
#   | cat: 3 'out\n' ''
#   | cat, run(): 3 'out\n' ''
#   | cat, TEE: 3 'out\n' ''
#   | cat, iter_lines(): 'out\n' 'why\n'
#   nothing of it on the caller's stderr
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check plumbum==2.0.2
cat > run.py <<'PYTHON'
import contextlib
import io

from plumbum import TEE, local
from plumbum.commands.processes import ProcessExecutionError

first = local["sh"]["-c", "echo out; echo why >&2; exit 3"]
both = first | local["cat"]
for name, command in (("one command", first), ("| cat", both)):
    try:
        command()
    except ProcessExecutionError as error:
        print(f"{name}: {error.retcode} {error.stdout!r} {error.stderr!r}")
code, out, err = both.run(retcode=None)
print(f"| cat, run(): {code} {out!r} {err!r}")
with contextlib.redirect_stdout(io.StringIO()):
    code, out, err = both & TEE(retcode=None)
print(f"| cat, TEE: {code} {out!r} {err!r}")
lines = [(out or "", err or "") for out, err in both.popen().iter_lines(retcode=None)]
out, err = ("".join(f"{line}\n" for line in part if line) for part in zip(*lines, strict=True))
print(f"| cat, iter_lines(): {out!r} {err!r}")
PYTHON
venv/bin/python run.py 2> stderr | tee seen
grep -q why stderr || echo "nothing of it on the caller's stderr" | tee -a seen
cat > expected <<'TEXT'
one command: 3 'out\n' 'why\n'
| cat: 3 'out\n' ''
| cat, run(): 3 'out\n' ''
| cat, TEE: 3 'out\n' ''
| cat, iter_lines(): 'out\n' 'why\n'
nothing of it on the caller's stderr
TEXT
diff expected seen
