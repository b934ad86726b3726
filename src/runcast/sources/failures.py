"""What the viewers of a run see of the exception that ended it.

The traceback only if the run shows tracebacks, and otherwise one sentence with its id. The operator
of the process gets everything, by the logger `runcast.runs`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ErrorReport", "error_report"]

_TRACEBACK_CHARS = 64 * 1024  # of its end, which has the error itself
_MESSAGE_CHARS = 500


class ErrorReport(NamedTuple):
    """How an interpreter would report an uncaught error.

    Attributes:
        code: the exit code.
        text: the text for the run's stderr.
        message: the same in one sentence.
        traceback: for viewers who may see internals; empty for SystemExit.
    """

    code: int
    text: str
    message: str
    traceback: str


def error_report(error: BaseException, skip: int, run_id: str, *, shown: bool) -> ErrorReport:
    """Return how an error ends a run.

    Args:
        error: the uncaught exception.
        skip: how many frames of its traceback belong to runcast, and are omitted.
        run_id: of the run.
        shown: whether its viewers may see the traceback.
    """
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return ErrorReport((error.code or 0) & 0xFF, "", "", "")
        return ErrorReport(1, f"{error.code}\n", "", "")
    import traceback  # late: loading it takes longer than most starts, and few runs fail

    trace = error.__traceback__
    for _ in range(skip):
        trace = trace.tb_next if trace is not None and trace.tb_next is not None else trace
    text = "".join(traceback.format_exception(type(error), error, trace))
    kept = text[-_TRACEBACK_CHARS:].encode(errors="replace").decode()
    if shown:
        gist = "".join(traceback.format_exception_only(error)).strip()
        return ErrorReport(1, text, gist[:_MESSAGE_CHARS], kept)
    message = f"run {run_id} ended with an error, which is in the log of this application under that id"
    return ErrorReport(1, f"{message}\n", message, kept)
