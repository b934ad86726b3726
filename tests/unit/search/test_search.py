"""Which lines of a log a search finds, and where they begin."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.errors import UsageError
from runcast.model import Channel, Chunk
from runcast.search.expression import Expression
from runcast.search.lines import Search
from runcast.search.needles import needles_of

OUT, ERR = Channel.STDOUT, Channel.STDERR


def chunks_of(*parts: tuple[Channel, bytes]) -> list[Chunk]:
    """Return chunks that follow upon each other, a second apart."""
    chunks, offset = [], 0
    for second, (channel, data) in enumerate(parts):
        chunks.append(Chunk(offset, offset + len(data), channel, float(second), data))
        offset += len(data)
    return chunks


def search_in(chunks: list[Chunk], expression: Expression) -> Search:
    """Return a search of the log that these chunks are of."""
    data = b"".join(chunk.data for chunk in chunks)
    return Search(expression, lambda offset: data.count(b"\n", 0, offset))


def found(expression: Expression, chunks: list[Chunk]) -> list[tuple[int, int, bytes]]:
    """Return line, offset and bytes of each hit."""
    search = search_in(chunks, expression)
    hits = [hit for chunk in chunks for hit in search.feed(chunk)]
    return [(hit.line, hit.offset, hit.data) for hit in [*hits, *search.flush()]]


def test_place_of_a_line():
    """A hit has the number and the offset of its line, counted over all channels, and its time."""
    chunks = chunks_of((OUT, b"one\ntw"), (ERR, b"bad\n"), (OUT, b"o bad\r\nthree bad"))

    search = search_in(chunks, Expression("bad"))
    hits = [hit for chunk in chunks for hit in search.feed(chunk)] + list(search.flush())

    assert hits == [
        (2, 6, ERR, 1.0, b"bad", 10),
        (2, 4, OUT, 0.0, b"two bad", 17),
        (4, 17, OUT, 2.0, b"three bad", 26),
    ]


@pytest.mark.parametrize(
    ("text", "options", "lines"),
    [
        ("a.c", {}, [1]),
        ("A.C", {}, []),
        ("A.C", {"ignore_case": True}, [1]),
        ("a.c", {"regex": True}, [0, 1]),
        ("^c$", {"regex": True}, [2]),
        (r"c\s+x", {"regex": True}, []),  # there is a line end between the two
        (r"(?<!a)bc", {"regex": True}, [3]),
        (r"\Abbc\Z", {"regex": True}, [3]),
        ("ÄB", {"ignore_case": True}, [4]),
        ("red text", {}, [5]),
        ("[31m", {}, []),
    ],
)
def test_expressions(text: str, options: dict[str, bool], lines: list[int]):
    """Texts and regular expressions match within a line as it is seen, without escape sequences."""
    block = "abc\na.c\r\nc\nbbc\näb\n\x1b[31mred\x1b[0m text\nx\n".encode()

    assert [match.number for match in Expression(text, **options).lines(block)] == lines


@pytest.mark.parametrize("text", ["a", "b", "ab", "é"])
@given(
    parts=st.lists(
        st.tuples(st.sampled_from([OUT, ERR]), st.text("abé\n\r", min_size=1).map(str.encode)), max_size=8
    ),
    cut=st.integers(1, 3),
)
def test_all_ways_to_look(text: str, parts: list[tuple[Channel, bytes]], cut: int):
    """Whatever the chunks, each line that matches is found once, and no other."""
    chunks = chunks_of(*parts)
    pieces = chunks_of(
        *((channel, data[at : at + cut]) for channel, data in parts for at in range(0, len(data), cut))
    )
    expected = sorted(reference(text, parts))

    for expression in (
        Expression(text),
        Expression(text, regex=True),
        Expression(f"(?=.*){text}", regex=True),
    ):
        assert sorted(found(expression, chunks)) == expected
        assert sorted(found(expression, pieces)) == expected


def reference(text: str, parts: list[tuple[Channel, bytes]]) -> list[tuple[int, int, bytes]]:
    """Find the lines byte by byte."""
    lines, line_feeds, offset = [], 0, 0
    begun: dict[Channel, tuple[int, int, bytes]] = {}
    for channel, data in parts:
        for byte in data:
            line, begin, so_far = begun.pop(channel, (line_feeds + 1, offset, b""))
            offset += 1
            if byte == ord("\n"):
                lines.append((line, begin, so_far))
                line_feeds += 1
            else:
                begun[channel] = line, begin, so_far + bytes([byte])
    lines += begun.values()
    return [
        (line, begin, data.removesuffix(b"\r"))
        for line, begin, data in lines
        if text in data.removesuffix(b"\r").decode()
    ]


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")  # of Python, about sets in sets
@given(
    pattern=st.text("ab^$.*+?[]()|\\sn", min_size=1, max_size=6),
    lines=st.lists(st.text("ab \t", max_size=4), min_size=1, max_size=6),
)
def test_regular_expressions_are_for_single_lines(pattern: str, lines: list[str]):
    """A regular expression finds in a block what it finds in each of its lines alone."""
    try:
        expression = Expression(pattern, regex=True)
    except UsageError:
        return
    expected = [number for number, line in enumerate(lines) if re.search(pattern, line)]

    block = "".join(f"{line}\n" for line in lines).encode()

    found = list(expression.lines(block))
    assert [match.number for match in found] == expected
    assert [block[match.begin : match.end].decode() for match in found] == [lines[at] for at in expected]


def test_a_line_without_end():
    """A line of any length is searched as it comes, and found once; little of it is kept."""
    search = Search(Expression("needle"), lambda offset: 0)
    parts = [b"x" * 700_000, b"nee", b"dle" + b"x" * 700_000, b"needle" + b"x" * 2_000_000]
    hits = [hit for chunk in chunks_of(*((OUT, part) for part in parts)) for hit in search.feed(chunk)]

    assert [(hit.line, hit.offset) for hit in [*hits, *search.flush()]] == [(1, 0)]


@pytest.mark.parametrize("text", ["", "x" * 5000, "two\nlines"])
def test_no_text_to_search_for(text: str):
    """An empty text, a very long one and one of several lines are refused."""
    with pytest.raises(UsageError, match="expected"):
        Expression(text)


def test_no_regular_expression():
    """An error in an expression is shown with its place."""
    with pytest.raises(UsageError, match=r"unterminated character set at character 2"):
        Expression("a[b", regex=True)


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        ("ERROR|FATAL|Traceback", {b"ERROR", b"FATAL", b"Traceback"}),
        (r"error: \w+ in", {b"error: "}),
        (r"(?:foo|ba[rz]+)x{2}", {b"foo", b"ba"}),
        ("(?i)Error", {b"error"}),
        ("a(?i:bc)d", set()),
        ("error|", set()),
        (r"[0-9]{12} ", set()),
        ("(?=abc)", set()),
        ("(?:abc)?d", set()),
    ],
)
def test_needles(pattern: str, needles: set[bytes]):
    """Of a regular expression it is known which texts each match has, where that is certain."""
    assert set(needles_of(pattern, re.compile(pattern).flags)) == needles


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")  # of Python, about sets in sets
@given(
    pattern=st.text("abAB|().*+?{2}[]^$\\sk", min_size=2, max_size=8),
    ignore_case=st.booleans(),
    lines=st.lists(st.text("abAB skK\N{LATIN SMALL LETTER LONG S}", max_size=6), min_size=1, max_size=6),
    padding=st.sampled_from([0, 5000]),
)
def test_needles_lose_nothing(pattern: str, ignore_case: bool, lines: list[str], padding: int):
    """With its needles an expression finds what it finds line by line, and rules out no match."""
    try:
        expression = Expression(pattern, regex=True, ignore_case=ignore_case)
    except UsageError:
        return
    lines = [line + "." * padding for line in lines]
    flags = re.IGNORECASE if ignore_case else 0
    expected = [number for number, line in enumerate(lines) if re.search(pattern, line, flags)]
    block = "".join(f"{line}\n" for line in lines).encode()

    assert [match.number for match in expression.lines(block)] == expected
    assert not (expected and expression.rules_out(block))


def test_many_in_a_block():
    """A text that is in most lines is found in each of them once."""
    block = b"".join(b"%d needle needle\n" % number for number in range(1000))

    assert [match.number for match in Expression("needle").lines(block)] == list(range(1000))
    assert [match.number for match in Expression("need+le", regex=True).lines(block)] == list(range(1000))


def test_other_letters_of_the_same_case():
    """Without case, a letter beyond ASCII that is an ASCII one in another case counts."""
    block = "\N{KELVIN SIGN}elvin\n".encode()

    assert [match.number for match in Expression("kelvin", ignore_case=True).lines(block)] == [0]
