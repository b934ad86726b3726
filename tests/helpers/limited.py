"""Programs under the limits of an ordinary user: the kernel does not hold root to `ulimit -u`.

As root the program gets a user id that nobody else has, and keeps the right to read files: the
interpreter may lie in root's home. As anybody else it is one of that user's processes, and the limit
is what the user has now and as many more.
"""

import itertools
import os

from tests.helpers.cli import RUNCAST
from tests.helpers.programs import program

_READS_ALL = "+dac_override,+dac_read_search"
_users = itertools.count(100_000 + os.getpid() * 50)


def limited(limits: str, *, processes: int | None = None) -> list[str]:
    """Return what to write before a command to have it run so.

    Args:
        limits: lines of a shell that set limits (`ulimit -n 20`); empty for none.
        processes: how many processes and threads there may be, the command's own first one included.
    """
    before: list[str] = []
    already = 0
    if os.geteuid() == 0:
        user = str(next(_users))
        before = [program("setpriv"), "--reuid", user, "--regid", user, "--clear-groups"]
        before += ["--inh-caps", f"-all,{_READS_ALL}", "--ambient-caps", _READS_ALL]
    else:
        already = _tasks(os.geteuid())
    if processes is not None:
        limits += f"\nulimit -u {already + processes}"
    return [*before, "bash", "-c", f'{limits}\nexec "$@"', "bash"]


def limited_cli(store: object, limits: str, *command: str, processes: int | None = None) -> list[str]:
    """Return a command line that runs a command in a store, all of it under limits."""
    return [*limited(limits, processes=processes), RUNCAST, "--store", str(store), "run", "--", *command]


def _tasks(user: int) -> int:
    """Return how many processes and threads a user has."""
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count
