"""How many cells characters take, and that they are whole however they come."""

import unicodedata

import pytest

from scripts.wide_characters import main
from tests.page.node import HERE, case, node, play

pytestmark = pytest.mark.slow

TABLE = HERE.parents[1] / "src/runcast/web/page/wide.js"
# What takes so many cells, of which no two libraries agree on all.
WIDTHS = [
    ("\U0001f468\u200d\U0001f469\u200d\U0001f467", 2),  # a family: one picture
    ("\U0001f1e9\U0001f1ea", 2),  # a flag
    ("\u2764\ufe0f", 2),
    ("1\ufe0f\u20e3", 2),  # a keycap
    ("\U0001f44d\U0001f3fd", 2),  # with a tone of skin
    ("\u2705", 2),
    ("\u2764", 1),
    ("co\u00adop", 5),
    ("a\u200bb", 2),
    ("a\u2060b", 2),
    ("\u202eabc\u202c", 4),  # at the beginning of a row there is no cell to join
    ("a\u2028b", 3),
    ("\u0928\u092e\u0938\u094d\u0924\u0947", 4),
    ("\u0e19\u0e49\u0e33", 2),
    ("\u1112\u1161\u11ab", 2),
    ("a\u3164b", 4),
    ("\u65e5\u672c", 4),
    ("\uff76\uff85", 2),
    ("\u280b\u2819", 2),
    ("\u2500\u2588\u2026\ue0b0", 4),
    ("\U00020000", 2),
    ("e\u0301\u0302", 1),
]


def test_widths():
    """A cluster takes the sum of its code points, at most two; a sequence of emoji is one picture."""
    texts = [text for text, _ in WIDTHS]

    assert dict(zip(texts, node("widths.mjs", texts), strict=True)) == dict(WIDTHS)


def test_whole_in_any_pieces():
    """Each text is the same row when its code points, or its bytes, come one by one."""
    texts = [text for text, _ in WIDTHS]
    wholes = play([case(text, size=(20, 2)) for text in texts])
    characters = play([case(*text, size=(20, 2)) for text in texts])
    cut = play([case(*(bytes([byte]) for byte in text.encode()), size=(20, 2)) for text in texts])

    assert characters == wholes
    assert cut == wholes
    assert [rows[0].text for rows in wholes] == texts


def test_written_over():
    """Of a wide character that is half written over, the other half is a space."""
    outputs = [
        "\u65e5\u672c\rx",
        "\u65e5\u672c\033[2Gx",
        "\u65e5\u672c\033[4Gx",
        "\U0001f600\bx",
        "\u65e5\r\033[Px",
    ]

    assert [rows[0].text for rows in play([case(output) for output in outputs])] == [
        *("x \u672c", " x\u672c", "\u65e5 x", " x", "x"),
    ]


def test_marks_without_end():
    """Of 10,000 marks on one letter the first few stay, and the row is one cell wide."""
    (rows,) = play([case("a" + "\u0301" * 10_000 + "b")])

    assert (rows[0].text[0], rows[0].text[-1]) == ("a", "b")
    assert 20 < len(rows[0].text) < 100


def test_table():
    """The table of wide characters is what the script makes of this Python's Unicode data."""
    assert TABLE.read_text() == main(), "stale: run `python scripts/wide_characters.py`"


def test_characters_taken_at_once():
    """What is taken for narrow or wide at once is that, by Python's data, and joins nothing before it."""
    found = node("widths.mjs", [])
    joining = ("Mn", "Me", "Mc", "Cf", "Cc")

    assert len(found["narrow"]) > 3000
    assert len(found["wide"]) > 30_000
    for width, characters in (("narrow", found["narrow"]), ("wide", found["wide"])):
        wrong = [
            one
            for one in characters
            if unicodedata.category(one) != "Cn"
            and (
                unicodedata.category(one) in joining
                or (unicodedata.east_asian_width(one) in "WF") != (width == "wide")
            )
        ]
        assert wrong == []
