"""Print `src/runcast/web/page/wide.js`: the characters that take two cells, by this Python's Unicode data.

Code points that are not assigned yet count as wide between two wide ones, where the next characters of such a
script will be; elsewhere Python knows nothing of them that could be used.
"""

import sys
import unicodedata

HEAD = """\
// The characters that take two cells: East_Asian_Width W or F in Unicode {version}, as pairs of the first
// and the last of a range. Written by scripts/wide_characters.py; not to be edited.

export const WIDE = [
"""


def ranges() -> list[tuple[int, int]]:
    """Return the ranges of wide characters, in order."""
    found: list[tuple[int, int]] = []
    adjoins = False  # whether all code points since the last range are unassigned
    for code in range(0x1100, sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) == "Cn":
            continue
        wide = unicodedata.east_asian_width(character) in "WF" and unicodedata.category(character) != "Mn"
        if wide and adjoins:
            found[-1] = (found[-1][0], code)
        elif wide:
            found.append((code, code))
        adjoins = wide
    return found


def main() -> str:
    """Return the module."""
    numbers = [f"0x{first:x}, 0x{last:x}," for first, last in ranges()]
    lines = ["  " + " ".join(numbers[at : at + 6]) for at in range(0, len(numbers), 6)]
    return HEAD.format(version=unicodedata.unidata_version) + "\n".join(lines) + "\n];\n"


if __name__ == "__main__":
    sys.stdout.write(main())
