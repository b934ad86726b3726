"""The command line: one verb, one file.

`main` is the entry point. A verb's module is imported when the verb is used: `runcast run` pays
for nothing else, and no verb imports asyncio. None of this is API: call `runcast.start` and the
like instead, or run `runcast` as a process.
"""

from __future__ import annotations

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say (by default those of this process) and return the exit code."""
    try:
        from runcast.cli.app import call
    except KeyboardInterrupt:  # typed while this was still loading: nothing was begun
        return 130
    return call(arguments)
