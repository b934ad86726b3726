"""Start options: one table (`table.py`), the types of their values, and their types for editors."""

from runcast.options.option import (
    ANYTHING,
    COMMAND,
    FUNCTION,
    GENERATOR,
    HERE,
    KEPT,
    KEPT_OR_NULL,
    PROCESS,
    TAKERS,
    Option,
    nearest,
)
from runcast.options.table import OPTIONS, add, read, unknown
from runcast.options.together import PLACES, check_together

__all__ = [
    "ANYTHING",
    "COMMAND",
    "FUNCTION",
    "GENERATOR",
    "HERE",
    "KEPT",
    "KEPT_OR_NULL",
    "OPTIONS",
    "PLACES",
    "PROCESS",
    "TAKERS",
    "Option",
    "add",
    "check_together",
    "nearest",
    "read",
    "unknown",
]
