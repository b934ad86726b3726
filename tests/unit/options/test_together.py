"""Options that cannot be had together, and the values of a terminal."""

import pytest

from runcast.errors import UsageError
from runcast.options import OPTIONS, check_together, read


@pytest.mark.parametrize(
    "values",
    [
        {"tty": True, "columns": 132, "rows": 43},
        {"tty": True, "stdin": "pipe"},
        {"tty": "stdout", "input": b"x"},
        {"tty": "stdout", "stdin": 0, "rows": 1},
        {"stdin": "pipe"},
        {"columns": 80, "rows": 24},
    ],
)
def test_together(values: dict[str, object]):
    """These can be had together."""
    check_together(read(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"stdin": "pipe", "input": b"x"}, "expected stdin or input, got both"),
        ({"tty": True, "input": b""}, "expected no input with tty=True"),
        ({"tty": True, "stdin": 0}, "expected no stdin with tty=True"),
        ({"columns": 81}, "expected tty with columns=81"),
        ({"rows": 1}, "expected tty with rows=1"),
    ],
)
def test_not_together(values: dict[str, object], expected: str):
    """These are refused, with what to do."""
    with pytest.raises(UsageError) as caught:
        check_together(read(values))
    assert expected in str(caught.value)


@pytest.mark.parametrize("value", [True, False, "stdout"])
def test_terminals(value: object):
    """The three values of `tty` are the same everywhere."""
    kind = OPTIONS["tty"].type
    assert kind.read("tty", value) == kind.keep(value) == value
    assert kind.in_json(value)
    assert kind.is_kept(value)


@pytest.mark.parametrize("value", [1, "stderr", "true", "", [], {}])
def test_no_terminals(value: object):
    """Any other value is refused."""
    kind = OPTIONS["tty"].type
    with pytest.raises(UsageError, match='expected tty as True, False or "stdout", got '):
        kind.read("tty", value)
    assert not kind.in_json(value)
    assert not kind.is_kept(value)


@pytest.mark.parametrize("value", [0, -1, 65536, 10**6, True, 80.0, "80", None])
def test_no_cells(value: object):
    """A size is a whole number that the kernel can keep."""
    kind = OPTIONS["rows"].type
    with pytest.raises(UsageError, match="expected rows as a number from 1 to 65535, got "):
        kind.read("rows", value)
    assert not kind.in_json(value)
    assert not kind.is_kept(value)
