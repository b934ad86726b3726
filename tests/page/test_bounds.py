"""Whatever a program prints, the screen stays small, ends soon and shows nothing but text."""

import random
import re

import pytest

from tests.page.node import case, play

pytestmark = pytest.mark.slow

MANY = 999_999_999
LONGEST = 10_000  # cells of a row
CONTROL = re.compile(r"[\0-\x08\x0a-\x1f\x7f-\x9f]")


def test_large_parameters():
    """Each sequence, a billion times, is over at once and makes no more than a screen of rows."""
    finals = [chr(code) for code in range(0x40, 0x7F)]
    outputs = [f"a\u65e5\033[{MANY};{MANY}{final}b" for final in finals]
    outputs += [f"a\033[{MANY}{final}\n" * 50 for final in "@ABCDEFGILMPSTXZ`abde"]

    for rows in play([case(output, size=size) for output in outputs for size in (None, (80, 24))]):
        assert len(rows) <= 51 * 25
        assert max((len(row.text) for row in rows), default=0) <= LONGEST


def test_long_sequences():
    """A sequence or string without end is dropped, not kept; what follows its line is shown."""
    outputs = [
        f"{start}{'1;' * 500_000}\nnext" for start in ("\033[", "\033]52;c;", "\033P", "\033_", "\033(")
    ]

    for rows in play([case(output) for output in outputs]):
        assert rows[-1].text == "next"
        assert len(rows) == 2


def test_long_lines():
    """Of a line only so much is kept as is shown, and writing over it stays quick."""
    made = play([case("x" * 3_000_000), case("\u65e5" * 300_000), case("x" * 9_000 + "\rab" * 20_000)])

    assert [len(rows[0].text) for rows in made] == [LONGEST, LONGEST // 2, 9_000]


def test_noise_in_changing_sizes():
    """A screen whose size changes in the middle of anything stays bounded and shows only text."""
    chosen = random.Random(7)
    moves = [f"\033[{number};{number}{final}" for number in (1, 9, 40) for final in "ABDHJKLMPSTXr@"]
    moves += [
        "\033[?1049h",
        "\033[?1049l",
        "\0337",
        "\0338",
        "\033[44m",
        "\033[m",
        "\033[?6h",
        "\033[?6l",
        "\033M",
        "\n",
    ]
    pieces: list[str | tuple[int, int]] = []
    for _ in range(400):
        pieces.append("".join(chosen.choice([*moves, "text \u65e5", "x" * 50]) for _ in range(20)))
        pieces.append((chosen.choice([1, 2, 20, 300]), chosen.choice([1, 2, 10, 100])))
    pieces += ["\033c\033[?1049l\033[m", (20, 4), "\033[2J\033[Hthe end"]

    (rows,) = play([case(*pieces, size=(80, 24))])
    assert "the end" in [row.text for row in rows[-4:]]
    assert not any(CONTROL.search(row.text) for row in rows)
    assert max(len(row.text) for row in rows) <= 300


def test_noise():
    """60,000 random bytes, escapes among them, leave nothing but printable text, the same in any pieces."""
    chosen = random.Random(1)
    alphabet = [bytes([byte]) for byte in range(256)] + [b"\033["] * 80 + [b"\033"] * 40 + [b"\n"] * 20
    noise = b"".join(chosen.choice(alphabet) for _ in range(60_000))
    pieces = []
    for at in range(0, len(noise), 1000):
        cut = chosen.randint(1, 999)
        pieces += [noise[at : at + cut], noise[at + cut : at + 1000]]

    for size in (None, (80, 24)):
        whole, cut_up = play([case(noise, size=size), case(*pieces, size=size)])
        assert whole == cut_up
        assert not any(CONTROL.search(row.text) for row in whole)
        assert len(whole) <= noise.count(b"\n") * 24
