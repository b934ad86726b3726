"""The page's screen shows what xterm.js shows, for recordings of real programs and for sequences alone.

Each recording is what a program wrote to a terminal of 80 columns and 24 rows (`record.py`). Where the screen
differs on purpose, a test here says so.
"""

import random
from base64 import b64encode
from typing import Any

import pytest

from tests.page.node import HERE, case, node, play, rows_of

pytestmark = pytest.mark.slow

RECORDINGS = sorted((HERE / "recordings").glob("*.bin"))
PIPE = {"options": {"convertEol": True, "scrollOnEraseInDisplay": True}}


def compared(name: str, data: bytes, **more: Any) -> dict[str, Any]:
    """Return a case for `compare.mjs`."""
    return {"name": name, "base64": b64encode(data).decode(), **more}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recording(path):
    """500 times during a real program the rows are those of xterm.js, whatever pieces its bytes come in."""
    data = path.read_bytes()
    every = max(1, len(data) // 500)

    assert node("compare.mjs", [compared(path.stem, data, columns=80, rows=24, every=every)]) == {}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_styles_of_a_recording(path):
    """50 times during a real program each cell has the colours and the flags that xterm.js gives it."""
    data = path.read_bytes()
    every = max(1, len(data) // 50)

    assert (
        node("compare.mjs", [compared(path.stem, data, columns=80, rows=24, every=every, styles=True)]) == {}
    )


def test_enough_programs():
    """The recordings are of 14 programs at least, and some of them use all of the screen."""
    assert len(RECORDINGS) >= 14
    assert sum(b"\033[?1049h" in path.read_bytes() for path in RECORDINGS) >= 8


# On a terminal of 20 columns and 6 rows, cut at every byte.
SEQUENCES = [
    *(
        "a\tb\rXYZ",
        "ab\t\t\t\tc",
        "\033[3gab\tc",
        "a\033[5Gb\033H\r\tc\033[g\r\td",
        "\033[3Ia\033[2Zb\033[9Zc",
    ),
    *("x" * 20 + "\by", "x" * 20 + "\ny", "x" * 20 + "\033[Ky", "x" * 20 + "\033[Dy", "x" * 45),
    *(
        "x" * 19 + "\u65e5y",
        "\033[?7l" + "x" * 25 + "y\033[?7h",
        "\u65e5\u672c\rx",
        "\u65e5\u672c\033[2Gx",
        "\u65e5\u672c\033[2D\033[P",
    ),
    *(
        "a\033[3Bb\033[2Ac",
        "a\033[3;4Hb\033[Hc\033[;9fd",
        "a\n\n\n\033[9Ab\033[99Bc",
        "\033[4da\033[2eb\033[7`c\033[3ad",
    ),
    *(
        "a\033[2Eb\033[Fc",
        "a\nb\nc\033[2Ad\033[Je",
        "1\n2\n3\033[A\033[1Jx",
        "1\n2\n3\033[2Jx\033[Hy",
        "abcdef\033[3D\033[1Kx\033[2Ky",
    ),
    *(
        "abcdef\r\033[2@x",
        "abcdef\r\033[2P",
        "abcdef\r\033[3X",
        "ab\033[4hcd\rxy\033[4lz",
        "a\033[5bb",
        "\033[5b",
        "\u65e5\033[3b",
    ),
    *(
        "1\r\n2\r\n3\033[2;1H\033[Lx",
        "1\r\n2\r\n3\033[1;1H\033[My",
        "1\r\n2\r\n3\033[T\033[Sx",
        "1\033M2\033D3\033E4",
    ),
    *(
        "\033[2;4r1\r\n2\r\n3\r\n4\r\n5\033[r6",
        "1\r\n2\033[1;3r\033[3;1Ha\r\nb\r\nc\033[6;1Hd",
        "\033[2;4r\033[?6h\033[Hx\033[?6l\033[Hy",
    ),
    *(
        "".join(f"{number}\r\n" for number in range(12)),
        "\033[6;1Ha\r\nb\r\nc",
        "\033[3;5r\033[5;1H\n\n\nx\033M\033M\033My",
    ),
    *(
        "ab\0337cd\033[4;4Hx\0338y",
        "ab\033[scd\033[uy",
        "\0337\033(0q\0338q",
        "\033(0lqk\033(Blqk",
        "\033)0q\016q\017q",
        "\033(0" + "".join(map(chr, range(95, 127))),
    ),
    *(
        "main\033[?1049halt\033[2;2Hx",
        "main\033[?1049halt\033[?1049lback",
        "ma\033[?47halt\033[?47lin",
        "ma\033[?1047h\r\nalt\033[?1047lin",
    ),
    *(
        "a\033[!pb",
        "\033[2;3r\033[1m\033[!px",
        "a\fb\vc",
        "a\u0085b\u0084c",
        "\u009b31mred\u009b0m",
        "\u009d0;title\u009ctext",
    ),
    *(
        "\033]0;title\007x",
        "\033]8;;https://example.org\033\\link\033]8;;\033\\",
        "\033Pq#0~\033\\x",
        "\033_G\033\\x",
        "\033^p\033\\x",
        "\033Xs\033\\x",
    ),
    *(
        "\033[3\0331mx",
        "\033[3\b1mx",
        "\033[31\030x",
        "\033[?25l\033[>c\033[6nx",
        '\033[1;2;3"qx',
        "\033[=1cx",
        "\033#3x",
        "\033%Gx",
    ),
    *(
        "\033[44mab\033[K\r\nc\033[J",
        "\033[41m\033[2J\033[Hx",
        "\033[7mx\033[K",
        "e\u0301x",
        "\u0e19\u0e49x",
        "ab\177c",
        "a\007b",
    ),
]


def test_sequences():
    """Each sequence, cut at every byte, makes the rows that xterm.js makes."""
    cases = [compared(repr(text), text.encode(), columns=20, rows=6) for text in SEQUENCES]

    assert node("compare.mjs", cases) == {}


def test_sequences_on_a_pipe():
    """On a pipe, where lines have no end and a line feed returns, they make those of a wide terminal."""
    texts = [
        "a\nb\033[Ac",
        "1\n2\n3\033[2A\033[Jx",
        "ab\ncd\033[1A\033[2Kx",
        "a\n\n\nb",
        "\033[?1049hx\033[?1049ly",
    ]
    texts += [
        "1\n2\n\033[H\033[2J3\n4",
        "a\tb\rX",
        "1\n2\n3\033[3Ax\n\n\n4",
        "\u65e5\u672c\n\033[A\033[2Ca",
        "a\n" * 30,
    ]

    assert node("compare.mjs", [compared(repr(text), text.encode(), **PIPE) for text in texts]) == {}


PIECES = [
    *(
        "a",
        "bc",
        "hello ",
        "\r",
        "\n",
        "\r\n",
        "\b",
        "\t",
        "\u65e5\u672c",
        "e\u0301",
        "\u2500",
        "x" * 13,
        "lqk",
    ),
    *(
        "\033D",
        "\033E",
        "\033M",
        "\033(0",
        "\033(B",
        "\033)0",
        "\x0e",
        "\x0f",
        "\v",
        "\f",
        "\u0085",
        "\u0084",
    ),
    *("\033[4h", "\033[4l", "\033[m", "\033[1;31m", "\033[44m", "\033[?1047h", "\033[?1047l", "\033[!p"),
]


def random_output(seed: int) -> str:
    """Return some output of pieces and sequences with small parameters."""
    chosen = random.Random(seed)
    text = ""
    for _ in range(chosen.randint(3, 40)):
        final = chosen.choice("@ABCDEFGHHHIJKKLMPSTXZ`abdefr")
        number = chosen.choice(["", "0", "1", "2", "3", "5", "9", "20"])
        if final in "Hfr":
            number += ";" + chosen.choice(["", "0", "1", "2", "4", "7", "9", "20"])
        elif final == "J":
            number = chosen.choice(["", "0", "2"])  # 1 in the last column of the last row has xterm.js throw
        elif final == "K":
            number = chosen.choice(["", "0", "1", "2"])
        text += chosen.choice(PIECES) if chosen.random() < 0.5 else f"\033[{number}{final}"
    return text


def test_random_output():
    """200 random mixtures of text and sequences make the rows that xterm.js makes, cut at every byte."""
    cases = [
        compared(f"{seed}: {text!r}", text.encode(), columns=20, rows=6)
        for seed, text in ((seed, random_output(seed)) for seed in range(200))
    ]

    assert node("compare.mjs", cases) == {}


# Where the screen is not xterm.js, on purpose.


def test_line_feed_ends_a_sequence():
    """A sequence that is never ended swallows no more than its line."""
    broken = ["\033", "\033[", "\033[31", "\033]0;never", "\033P never", "\033(", "\033]0;a\033", "\u009d0;x"]

    assert rows_of(*(f"<{text}\nnext" for text in broken)) == [["<", "next"]] * len(broken)
    assert rows_of("\033[31\u00e4") == [["\u00e4"]]


def test_clearing_keeps_history_on_a_pipe_and_erases_on_a_terminal():
    """What a program on a pipe clears stays above, without empty rows; on a terminal it is gone."""
    output = "1\r\n2\033[2J\033[H3\033[3J\033c4"

    assert rows_of(output, output[:9]) == [["1", "2", "3", "4"], ["1", "2"]]
    assert rows_of(output, size=(80, 24)) == [["4", ""]]


def test_history_stays_on_a_terminal():
    """What has scrolled off a terminal's screen is not erased, not even by `ESC[3J`, which `clear` sends."""
    (rows,) = rows_of("".join(f"{number}\r\n" for number in range(9)) + "\033[H\033[2J\033[3Jx", size=(80, 4))

    assert rows == ["0", "1", "2", "3", "4", "5", "x", "", ""]


def test_line_ends_of_a_pipe():
    """Form feed, vertical tab and NEL end a line as a line feed does; C1 sequences are taken whole."""
    assert rows_of("a\fb\vc\u0085d", "\u009b31mred\u009b0m \u009d0;title\u009ctext") == [
        *(["a", "b", "c", "d"], ["red text"]),
    ]


def test_up_beyond_the_screen_of_a_pipe():
    """A pipe has no height: 100 bars that a program goes up to are drawn again, each in its own row."""
    bars = "".join(f"bar {number}\n" for number in range(100))
    again = "\033[100A" + "".join(f"\r\033[2Kdone {number}\n" for number in range(100))

    assert rows_of(bars + again + "end") == [[*(f"done {number}" for number in range(100)), "end"]]


def test_up_stops_at_the_first_row():
    """A cursor that goes up farther than there are rows stops at the first."""
    assert rows_of("a\nb\n\033[999Ax", "\033[5Ax\n") == [["x", "b"], ["x"]]


def test_lines_at_once():
    """Plain lines, which are taken many at a time, make the rows that they make character by character."""
    chosen = random.Random(5)
    lines = "".join(f"{number} plain\n" for number in range(30))
    among = [
        "\033[31m",
        "\033[0m",
        "\033[4A",
        "\033[9B",
        "\033[2J",
        "\u65e5\n",
        "\t",
        "x" * 300 + "\n",
        "\n\n",
    ]
    among += [
        "\033[2;9r",
        "\033[r",
        "\033[4h",
        "\033[4l",
        "\033(0",
        "\033(B",
        "\033[?1049h",
        "\033[?1049l",
        "half ",
    ]
    outputs = [
        "".join(chosen.choice([lines, lines, chosen.choice(among)]) for _ in range(12)) for _ in range(60)
    ]
    wholes = play([case(output) for output in outputs])

    assert play([case(*output) for output in outputs]) == wholes
    assert sum(len(rows) > 100 for rows in wholes) > 10


def test_resize():
    """Another size keeps what is shown above the cursor as history; a full-screen program draws anew."""
    lower = case("1\r\n2\r\n3\r\n4", (20, 2), "\033[Hx", size=(20, 4))
    higher = case("1\r\n2\r\n3\r\n4\r\n", (20, 8), "\033[8;1Hx", size=(20, 4))
    narrower = case("x" * 15 + "\r\n", (5, 4), "y" * 7 + "\033[Hz\033[K", size=(20, 4))
    alternate = case("main\033[?1049h1\r\n2\r\n3", (20, 2), "\033[Hx", size=(20, 4))
    back = case("main\033[?1049h1\r\n2\r\n3", (9, 2), "\033[?1049l!", size=(20, 4))
    pipe = case("1\n", (5, 2), "x" * 9)
    played = play([lower, higher, narrower, alternate, back, pipe])

    assert [[row.text for row in rows] for rows in played] == [
        ["1", "2", "x", "4"],
        ["1", "2", "3", "4", "", "", "", "", "x"],
        ["z", "yyyyy", "yy"],
        ["main", "x", "3"],
        ["main!"],
        ["1", "x" * 9],
    ]


def test_tabs_are_tabs():
    """A tab is a tab for who copies it, until something is written into it."""
    assert rows_of("a\tb\n", "a\tb\rXYZ", "a\tb\033[4Gx", "a\t\r\033[@b") == [
        *(["a\tb"], ["XYZ     b"], ["a  x    b"], ["ba       "]),
    ]


def test_saved_cursor_is_of_the_screen():
    """A saved cursor is a place of the screen, as DEC has it; in xterm.js it moves with what scrolls."""
    assert rows_of("\033[2;1H\0337\033[3;1H\n\n\0338x", size=(20, 3)) == [["", "", "", "x"]]


def test_lines_of_the_server():
    """Each row knows the line of the output, counted in line feeds, that first wrote there."""
    (rows,) = play([case("one\ntwo\nthree\n\033[2A\033[2Kagain\n\nfour")])

    assert [(row.text, row.line) for row in rows] == [("one", 0), ("again", 1), ("three", 2), ("four", 5)]
