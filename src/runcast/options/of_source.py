"""The start options of what is run: its arguments, its folder and variables, its terminal, its input.

Owns these entries of the table, in the order of the reference. See `table.py`.
"""

from __future__ import annotations

from typing import Final

from runcast.options.mask import MASK
from runcast.options.option import COMMAND, HERE, KEPT, KEPT_OR_NULL, PROCESS, Option
from runcast.options.process_types import LIMITS, NICE, USER
from runcast.options.types import (
    ARGUMENTS,
    CELLS,
    COUNT,
    DATA,
    FLAG,
    FOLDER,
    STDIN,
    SWITCH,
    TERMINAL,
    VARIABLES,
)

__all__ = ["OF_SOURCE"]

OF_SOURCE: Final = (
    Option(
        "kwargs",
        ARGUMENTS,
        "what a function is called with by name.",
        takers=PROCESS | HERE,
    ),
    Option(
        "process",
        FLAG,
        "call the function in a process of its own, under a supervisor as a command.",
        more=(
            "The function must be one that can be imported, its arguments must be such that `pickle` takes "
            "them."
        ),
        default=False,
        takers=PROCESS,
    ),
    Option(
        "ahead",
        COUNT,
        "how many values a generator may be ahead of its foremost reader, in whichever process that is; "
        "`None` lets it run without any.",
        default=16,
    ),
    Option(
        "shell",
        FLAG,
        "have `/bin/sh` execute the string.",
        default=False,
        takers=COMMAND,
        of_command=True,
        body="shell",
        cli="CMD is one string, for /bin/sh.",
    ),
    Option(
        "cwd",
        FOLDER,
        "the folder to run in; by default that of the process that starts the run.",
        more="Like `env` for what has a process of its own.",
        takers=COMMAND | PROCESS,
        instead="use process=True, or set it in the function",
        kept=KEPT,
        supervised=True,
        of_command=True,
        body="cwd",
        cli="Run in this folder.",
    ),
    Option(
        "env",
        VARIABLES,
        "variables on top of the environment of the process that starts the run.",
        more="They are kept with the run; the rest of the environment is not.",
        takers=COMMAND | PROCESS,
        instead="use process=True, or set it in the function",
        kept=KEPT,
        of_command=True,
        body="env",
        cli="Set a variable. May be repeated.",
    ),
    Option(
        "mask",
        MASK,
        "secret values, in whose place the output and the record have `***`; `[]` masks only the variables "
        "whose names say that they are secret.",
        more=(
            "Before anything is written, in other forms and line by line, together with what a line "
            "`::add-mask::VALUE` of the output names. A net with holes: [masking](../howto/masking.md)."
        ),
        block=True,
        kept=KEPT_OR_NULL,
        of_command=True,
        body="mask",
        cli="Mask variables with secret names, such as *_TOKEN, and what ::add-mask:: names in the output.",
    ),
    Option(
        "color",
        SWITCH,
        "have programs write colors to a pipe (`FORCE_COLOR=1`, `CLICOLOR_FORCE=1`), or none (`NO_COLOR=1`); "
        "by default the environment decides.",
        more=(
            "What `env` has comes first. Not every program heeds the variables, and some write colors where "
            "a script expects none: [colors](../howto/colors.md)."
        ),
        takers=COMMAND | PROCESS,
        instead="use process=True, or set the variables in the function",
        kept=KEPT_OR_NULL,
        of_command=True,
        body="color",
        cli="Have programs write colors, or none.",
    ),
    Option(
        "line_buffered",
        FLAG,
        "have C, Lua, Ruby and Perl programs write each line at once, also on a pipe.",
        more=(
            "It loads coreutils' library into all dynamically linked programs of the run, which costs some "
            "of them time and starts none that is linked against musl: "
            "[programs that hold their output back](../howto/held-output.md)."
        ),
        default=False,
        takers=COMMAND | PROCESS,
        instead="use process=True",
        kept=KEPT,
        of_command=True,
        body="line_buffered",
        cli="Have programs write each line at once.",
    ),
    Option(
        "tty",
        TERMINAL,
        'run it in a terminal of its own, as a person would; with `"stdout"` only stdout is a terminal: '
        "lines at once and colors, while stderr stays apart and nothing is asked.",
        more="What changes by that: [terminals](../howto/terminals.md).",
        default=False,
        takers=COMMAND,
        instead="leave it out, or start a program that calls it, as a command: only commands have terminals",
        kept=KEPT,
        supervised=True,
        of_command=True,
        body="tty",
        cli="Run it in a terminal of its own; --tty=stdout: only its stdout is one.",
    ),
    Option(
        "columns",
        CELLS,
        "the width of that terminal, in cells.",
        more="[`Run.resize`](#runresize) changes it.",
        default=80,
        takers=COMMAND,
        kept=KEPT,
        supervised=True,
        of_command=True,
        body="columns",
    ),
    Option(
        "rows",
        CELLS,
        "the height of that terminal, in cells.",
        default=24,
        takers=COMMAND,
        kept=KEPT,
        supervised=True,
        of_command=True,
        body="rows",
    ),
    Option(
        "nice",
        NICE,
        "its niceness: up to 19, with which it runs when nothing else wants to; below 0 is for root.",
        takers=COMMAND | PROCESS,
        instead="use process=True",
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        cli="Have it take the processor only when others do not: 1 to 19.",
    ),
    Option(
        "limits",
        LIMITS,
        "bounds of each of its processes, as of setrlimit(2): `memory`, `file_size` and `core_size` in "
        "bytes, `cpu_time` in seconds, `open_files`, and `processes` of its user; and of all of them "
        "together, in a control group: `run_memory` in bytes, `run_cpus`, `run_processes`.",
        more='As in `{"memory": "2G", "cpu_time": "10m"}`: [limits](../howto/limits.md).',
        takers=COMMAND | PROCESS,
        instead="use process=True",
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        cli="Bound each of its processes: memory=2G, cpu_time=10m, file_size=1G, open_files=64, "
        "processes=100; or all together: run_memory=2G, run_cpus=1.5, run_processes=50. May be repeated.",
    ),
    Option(
        "user",
        USER,
        "the user that it runs as, with that one's groups, `HOME`, `USER` and `LOGNAME`; for root.",
        takers=COMMAND | PROCESS,
        instead="use process=True",
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        cli="Run it as this user. For root.",
    ),
    Option(
        "stdin",
        STDIN,
        '`"pipe"` for a program that is to be written to; by default it reads `/dev/null`.',
        more="[`Run.send`](#runsend) writes. An open file or a descriptor is given to the command as it is.",
        takers=COMMAND,
        body="stdin",
    ),
    Option(
        "input",
        DATA,
        "what the command reads from its stdin, all of it.",
        more="Not together with `stdin`.",
        takers=COMMAND,
    ),
    Option(
        "payload",
        DATA,
        "what the command finds in a file of the run's folder, whose path is in `RUNCAST_PAYLOAD`.",
        more="Not together with `mask`, of which nothing lies in the store.",
        takers=COMMAND,
    ),
)
