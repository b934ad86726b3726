"""Values in the binary form of PostgreSQL, what its errors mean, and the SQL of the tables."""

import struct

import pytest

from runcast.errors import UsageError
from runcast.link.opening import open_link
from runcast.link.postgres_errors import connect_error_of, error_of, hello_error_of
from runcast.link.postgres_hello import where_of
from runcast.link.postgres_schema import quoted, rights, tables
from runcast.link.postgres_values import BYTES, array, integer, integers, read_integer, read_integers


def test_numbers():
    """A number comes back as it was, one by one and in arrays, an empty array included."""
    for value in (0, -1, 2**63 - 1, -(2**63)):
        assert read_integer(integer(value)) == value
    for values in ([], [7], [-2, 0, 10**15]):
        assert [*read_integers(integers(values))] == values


def test_array_of_bytes():
    """An array has its type, its length, and each value with its own."""
    head = struct.pack(">iiiii", 1, 0, 17, 2, 1)

    assert array(BYTES, [b"ab", b""]) == head + struct.pack(">i2si", 2, b"ab", 0)


@pytest.mark.parametrize(
    ("code", "kind", "at_hello"),
    [
        ("53100", "Full", "LinkDown"),
        ("53200", "Full", "LinkDown"),
        ("57P01", "LinkDown", "LinkDown"),
        ("57P03", "LinkDown", "LinkDown"),
        ("40P01", "LinkDown", "LinkDown"),
        ("42501", "LinkDown", "LinkRefused"),
        ("42P01", "LinkDown", "LinkRefused"),
        ("40001", "LinkDown", "LinkDown"),
    ],
)
def test_what_codes_mean(code: str, kind: str, at_hello: str):
    """A lack of room is one of a request; all else brings the link down, and hello says what is to change."""
    assert type(error_of(code, "no such thing.", "h:1")).__name__ == kind
    assert type(hello_error_of(code, "no such thing.", "h:1")).__name__ == at_hello
    assert "(no such thing)" in str(error_of(code, "no such\n thing.", "h:1"))


@pytest.mark.parametrize("code", ["26000", "42P05"])
def test_session_that_a_pooler_shares(code: str):
    """What PgBouncer leads to with sessions for transactions is said, with what to change."""
    for error in (error_of(code, "no such statement", "h:1"), hello_error_of(code, "it exists", "h:1")):
        assert "have pool_mode = session" in str(error)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('FATAL:  password authentication failed for user "u"', "LinkRefused"),
        ('FATAL:  database "x" does not exist', "LinkRefused"),
        ("server does not support SSL, but SSL was required", "LinkRefused"),
        ("FATAL:  the database system is starting up", "LinkDown"),
        ("FATAL:  sorry, too many clients already", "LinkDown"),
        ("Connection refused", "LinkDown"),
    ],
)
def test_what_libpq_says(text: str, kind: str):
    """Before there is a connection, it is known by the text what is wrong."""
    assert type(connect_error_of(f"connection failed: {text}", "h:1")).__name__ == kind


def test_no_password_in_a_refusal():
    """A URL that is none is refused without its text."""
    with pytest.raises(UsageError, match="as %XX") as caught:
        open_link("postgresql://user:secret@host:1/db?nonsense=1")

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("prefix", ["pg_mine", "x" * 64, "ä" * 32, "it's", "$$"])
def test_names_that_no_schema_may_have(prefix: str):
    """A prefix that the server would refuse, or cut off, is refused at once."""
    with pytest.raises(UsageError, match="expected as prefix the name of a schema"):
        open_link("postgresql://host/db", prefix=prefix)


def test_where():
    """Where the server is has no user; of several servers all are named."""
    assert where_of({"host": "a", "user": "u", "password": "secret"}) == "a:5432"
    assert where_of({"host": "a,b", "port": "1,2"}) == "a:1,b:2"
    assert where_of({"host": "a,b", "port": "1"}) == "a:1,b:1"


def test_schema_is_quoted():
    """Whatever the schema and the role are called, their names stay names."""
    assert quoted('a"b') == '"a""b"'
    assert '"a""b".meta' in tables('a"b')
    assert "~." not in tables("a")
    assert rights("a", 'r"s').count('"r""s"') == 3
