"""Colours and styles that a program sets, as the classes of what is shown."""

import pytest

from tests.page.node import case, play

pytestmark = pytest.mark.slow

# What is set, and the classes of an x behind it.
STYLES = [
    ("1", "bold"),
    ("1;2;3;4;7;9;53", "bold dim italic underline strike inverse overline"),
    ("1;4;22", "underline"),
    ("3;4;9;23;24;29", ""),
    ("53;55", ""),
    ("31;42", "fg1 bg2"),
    ("91;102", "fg9 bg10"),
    ("31;42;39;49", ""),
    ("31;0", ""),
    ("31;", ""),
    ("38;5;196", "fg#ff0000"),
    ("48;5;16;97", "fg15 bg#000000"),
    ("38;5;9;48;5;244", "fg9 bg#808080"),
    ("38;2;255;0;0;1", "bold fg#ff0000"),
    ("38;2;255;999;7", "fg#ffff07"),
    ("38;2;1", "fg#010000"),
    ("38;2", "fg#000000"),
    ("38;5;256", ""),
    ("38;1;4", "underline"),
    ("31;38;5", "fg0"),
    ("38:5:1", "fg1"),
    ("38:2:255:100:0", "fg#ff6400"),
    ("38:2::255:100:0", "fg#ff6400"),
    ("38:2:0:255:100:0:9:9", "fg#ff6400"),
    ("38:5:208;48:5:3", "fg#ff8700 bg3"),
    ("38:7:1", ""),
    ("48:2:1:0:0:255", "bg#0000ff"),
    ("58;2;3;4;7m\033[1", "bold"),
    ("58;5;1", ""),
    ("58:2::3:4:7", ""),
    ("1;58;5;3;4", "bold underline"),
    ("59", ""),
    ("4:3", "underline"),
    ("1;4;4:0", "bold"),
    ("21", "underline"),
    ("8;5;6", ""),
    ("999999999999;1", "bold"),
    (";;1", "bold"),
]


def test_styles():
    """Codes set what ECMA-48 and xterm say; what belongs to a colour is never taken for another code."""
    played = play([case(f"\033[{codes}mx") for codes, _ in STYLES])
    shown = {codes: rows[0].spans for (codes, _), rows in zip(STYLES, played, strict=True)}

    assert shown == {codes: [("x", classes)] for codes, classes in STYLES}


def test_private_sequences_set_nothing():
    """What ends in m and is none of these codes (keyboard modes, key formats) has no style."""
    assert [rows[0].spans for rows in play([case("\033[>4;1mx"), case("\033[?4mx"), case("\033[4 mx")])] == [
        [("x", "")]
    ] * 3


def test_erased_cells_keep_the_background():
    """On a terminal, erased cells have the background that is set: dialogs and status lines are filled."""
    ((status,), (row,)) = play([case("\033[44mab\033[K", size=(5, 2)), case("\033[44mab\033[K")])

    assert status.spans == [("ab   ", "bg4")]
    assert row.spans == [("ab", "bg4")]


def test_style_goes_on_over_lines():
    """A colour lasts until it is ended, and what is erased loses it."""
    (rows,) = play([case("\033[31ma\nb\033[0mc\r\033[1P")])

    assert [row.spans for row in rows] == [[("a", "fg1")], [("c", "")]]
