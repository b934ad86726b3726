"""The start options of a run: its name, its limits, its queue, what is kept of it, who sees what.

Owns these entries of the table, in the order of the reference. See `table.py`.
"""

from __future__ import annotations

from typing import Final

from runcast.model import CAP_BYTES
from runcast.options.artifact_types import ARTIFACTS
from runcast.options.end_types import ON_END
from runcast.options.option import COMMAND, HERE, KEPT, KEPT_OR_NULL, PROCESS, Option
from runcast.options.queue_types import QUEUE, RUNNING
from runcast.options.types import BYTES, FLAG, KEEP, KEY, SECONDS, SWITCH, TEXT, VALUES

__all__ = ["OF_RUN"]

OF_RUN: Final = (
    Option(
        "name",
        TEXT,
        "what people call the run; by default the name of the program or the function.",
        kept=KEPT,
        body="title",
        cli="A name for people. [default: the program's]",
    ),
    Option(
        "timeout",
        SECONDS,
        "the time after which the run is stopped.",
        block=True,
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        body="timeout",
        cli="Stop it after so long: 90, 90s, 5m, 2h.",
    ),
    Option(
        "idle_timeout",
        SECONDS,
        "the time without output after which the run is stopped.",
        more=(
            'An hour for generators unless given (`float("inf")` for never): nobody may ever come back to '
            "one."
        ),
        block=True,
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        body="idle_timeout",
        cli="Stop it after so long without output.",
    ),
    Option(
        "cap",
        BYTES,
        "how much output to keep: the first half and the newest of the rest.",
        more="What lies between is dropped in segments and becomes a gap. `None` keeps all.",
        default=CAP_BYTES,
        block=True,
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        body="cap",
        cli="Keep so much output, head and tail: 64M, 1G, none. [default: 1G]",
    ),
    Option(
        "keep",
        KEEP,
        "what stays, once they are over, of the runs of this name that were started with it: so many, so "
        "long, or so much disk.",
        more=(
            'As in `100`, `"7d"`, `"2G"` or `[100, "2G"]`; the rule of the newest start is that of all. '
            "What goes on, is pinned or is being read stays: [retention](../howto/retention.md)."
        ),
        block=True,
        kept=KEPT_OR_NULL,
        of_command=True,
        body="keep",
        cli="Keep so many finished runs of this name, so long, or so much: 100, 7d, 2G. May be repeated.",
    ),
    Option(
        "artifacts",
        ARTIFACTS,
        "files within its folder that are kept with the run when it ends: paths or patterns, such as "
        "`report.html`, `out/*.png`, `logs/**`.",
        more=(
            "They are copied, at most 1,000 files and 1 GiB, and are not masked: "
            "[artifacts](../howto/artifacts.md)."
        ),
        takers=COMMAND | PROCESS,
        instead="use process=True",
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
        body="artifacts",
        cli="Keep such files of its folder with the run: report.html, out/*.png, logs/**. May be repeated.",
    ),
    Option(
        "queue",
        QUEUE,
        "the name of a queue of the store, in which the run waits for its turn.",
        more=(
            "It is `queued` meanwhile, with its [`place`](#runplace); the start returns at once. Turns come "
            "in the order of the starts: [queues](../howto/queues.md)."
        ),
        takers=COMMAND | PROCESS,
        instead="use process=True, or have no queue",
        kept=KEPT_OR_NULL,
        of_command=True,
        body="queue",
        cli="Wait for its turn in this queue.",
    ),
    Option(
        "max_running",
        RUNNING,
        "how many runs of that queue may go on at once, this one among them; by default what its store or "
        "server has for that queue, else 1.",
        takers=COMMAND | PROCESS,
        kept=KEPT_OR_NULL,
        of_command=True,
        body="max_running",
        cli="Let so many of its queue go on at once. [default: 1]",
    ),
    Option(
        "replace",
        FLAG,
        "stop the runs of that queue that were started before it, those that wait included.",
        default=False,
        takers=COMMAND | PROCESS,
        kept=KEPT,
        of_command=True,
        body="replace",
        cli="Stop what goes on and what waits in its queue.",
    ),
    Option(
        "stop_unwatched",
        SECONDS,
        "the time without a viewer after which the run is stopped; for runs that a web request started for "
        "its viewer.",
        kept=KEPT_OR_NULL,
        supervised=True,
    ),
    Option(
        "view",
        TEXT,
        "which web view started it; only that one resumes it for a viewer.",
        kept=KEPT_OR_NULL,
    ),
    Option(
        "params",
        VALUES,
        "the values of the parameters that a named command was started with, for those who look at the run, "
        "and for another start.",
        takers=COMMAND,
        kept=KEPT_OR_NULL,
    ),
    Option(
        "key",
        KEY,
        "a name of your own for the run, in this store, until it is removed.",
        more=(
            "All who start with the same key get the same run, also when it has ended, and however many "
            "processes do so at once. For a request with another command, kind or name that is "
            "[`RunExists`](#runexists). The arguments of functions are not compared. With `attach` it is the "
            "key of an attempt: the next one takes it from a run that is over, and a run that goes on is "
            "`RunExists`."
        ),
        block=True,
        kept=KEPT_OR_NULL,
        body="key",
        cli="Start one run of this key: where there is one, running or over, it is that one.",
    ),
    Option(
        "on_end",
        ON_END,
        "what to do once it is over: commands to run and webhooks to call, each always or when it failed, "
        "recovered or took long.",
        more=(
            'As in `[{"webhook": "https://…", "secret": "…", "when": "failure"}]`; done by a process of its '
            "own, and noted in [`Run.hooks`](#runhooks): [hooks](../howto/hooks.md)."
        ),
        block=True,
        kept=KEPT_OR_NULL,
        supervised=True,
        of_command=True,
    ),
    Option(
        "programs",
        FLAG,
        "have `subprocess` give the programs that a function or a generator starts the run's stdout and "
        "stderr, where the call names none.",
        more="What else is captured, and what is not: [capture](capture.md).",
        default=False,
        takers=HERE,
    ),
    Option(
        "traceback",
        SWITCH,
        "whether the log of a function or a generator gets the traceback of the exception that ends it, or "
        "one sentence with the run's id.",
        more=(
            "Decided when the run starts, so all viewers see the same. By default it gets the traceback, "
            "but in a web application that is not in [its framework's debug mode](adapters.md#failures). "
            "The logger `runcast.runs` and [`Outcome.traceback`](#outcome) have it anyway."
        ),
        takers=PROCESS | HERE,
        block=True,
        kept=KEPT,
    ),
    Option(
        "tee",
        FLAG,
        "have what a function or a generator prints and logs go to this process's stdout and stderr as well.",
        default=False,
        takers=HERE,
        block=True,
    ),
    Option(
        "check",
        FLAG,
        "have [`Run.wait`](#runwait) and [`Run.output`](#runoutput) raise unless the outcome is ok.",
        default=False,
    ),
)
