"""The command line: one file per verb.

`main` is the entry point. A verb's module is imported when the verb is used: `runcast run` loads
nothing else, and no verb imports asyncio. None of this is API: call `runcast.start` and similar
functions instead, or run `runcast` as a process.
"""

from __future__ import annotations

import sys

from runcast.cli.words import WORDS, has_options, say

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Execute the arguments (by default those of this process) and return the exit code."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        if given and given[0] in WORDS and not has_options(given[1:]):
            return say(given[0], given[1:])
        from runcast.cli.app import call
    except KeyboardInterrupt:  # pressed while loading: nothing was started
        return 130
    return call(arguments)
