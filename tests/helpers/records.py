"""What is logged, without what is logged of runs of other tests."""

import logging

from runcast.ids import is_run_id, new_run_id


class OwnRuns(logging.Filter):
    """Leaves out what is logged of runs that began before the filter was made.

    How a run in another process ended is logged when the process that started it learns of it, which
    may be in the middle of the next test.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun = new_run_id()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is of no run, or of one of this test."""
        words = record.getMessage().replace(":", " ").split()
        return all(word >= self._begun for word in words if is_run_id(word))
