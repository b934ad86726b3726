"""What somebody may: words such as `read`, `start:backup` and `append:builds/*`.

Owns the form of such a word, and whether it covers what is about to be done. Must not know who has which.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from runcast.errors import UsageError
from runcast.quantities import either

__all__ = ["EVERYTHING", "VERBS", "Rights"]

VERBS: Final = (
    *("list", "read", "traceback", "start", "stop", "send", "rerun", "pin", "share", "delete"),
    *("create", "append", "metrics"),
)
EVERYTHING: Final = "*"
_MOST = 200  # characters of a word
_NAME = re.compile(r"[^\x00-\x1f\x7f]+")


class Rights:
    """What a role, or a token, may do.

    Args:
        words: each a verb, for everything, or `VERB:NAME` for runs, commands and streams of a name, in which
            `*` stands for any characters, `/` included. The verb `*` is each of them; `read` alone is `list`,
            too.

    Attributes:
        words: as they were given.

    Raises:
        UsageError: a word is none of these.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        self._parsed = [_parse(word) for word in self.words]

    def __str__(self) -> str:
        return ", ".join(self.words) or "nothing"

    def allow(self, verb: str, name: str | None) -> bool:
        """Return whether a verb may be done.

        Args:
            verb: one of `VERBS`.
            name: of the run, the command or the stream; None where there is none, as for a list.
        """
        for own, names in self._parsed:
            if own in (verb, EVERYTHING) or (own == "read" and verb == "list"):
                if names is None or (name is not None and names.fullmatch(name)):
                    return True
        return False


@lru_cache(256)
def _parse(word: str) -> tuple[str, re.Pattern[str] | None]:
    verb, colon, name = word.partition(":")
    if verb not in (*VERBS, EVERYTHING):
        near = difflib.get_close_matches(verb, VERBS, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        hint = ": give each right by itself" if "," in verb else hint
        known = either([*VERBS, EVERYTHING])
        raise UsageError(f"expected {known}, alone or with :NAME, got {word!r:.80}{hint}")
    if not colon:
        return verb, None
    if len(word) > _MOST or not _NAME.fullmatch(name):
        raise UsageError(
            f"expected a name behind {verb}: such as {verb}:builds/*, up to {_MOST} characters in all, "
            f"got {name!r:.80}"
        )
    if verb == "start" and "," in name:  # which no command's name has: it would give nothing
        raise UsageError(
            f"expected the name of one command behind start:, got {name!r:.80}: give each by itself"
        )
    return verb, re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL)
