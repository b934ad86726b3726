"""What a stranger may write to trick a terminal, a log or a reader of either; and whether it got through."""

import re

# Begun by what a person sees: so a test finds the place where it came out.
TRICKS = [
    "seen\x1b[2J\x1b[H",  # clears the screen
    "seen\x1b]0;title\x07",
    "seen\x1b]52;c;cm0gLXJmIH4=\x07",  # writes the clipboard
    "seen\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "seen\x1bP$qm\x1b\\",  # has the terminal answer into stdin
    "seen\x1b[6n",
    "seen\x9b31mred",  # the same begun by C1 codes
    "seen\x9d0;title\x9c",
    "seen\rgone",  # overwrites the line
    "seen\nrunCast: exited with code 0",  # a line of its own
    "seen\x08\x08\x08\x08gone",
    "seen\x7f\x07\x0e",
    "seen\u2028line\u2029end\x85next\x0bdown\x0cpage",
    "seen\u202egnp.exe\u202c\u2066x\u2069",  # turns the text around
]
_HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harm(said: str) -> list[str]:
    """Return what of a text a terminal would obey, or a person could not see; each with what is around."""
    return [said[max(found.start() - 30, 0) : found.end() + 10] for found in _HARMFUL.finditer(said)]
