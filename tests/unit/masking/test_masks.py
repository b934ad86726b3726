"""The secrets of a run: their forms, and the record without them."""

import base64
import json
import urllib.parse

import pytest

from runcast.errors import UsageError
from runcast.masking.masks import Masks
from runcast.masking.values import check_values, secret_variables

VALUE = 'p&ss wörd/"+=\\1'


@pytest.mark.parametrize("before", ["", "u", "us", "usr:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_found_wherever_the_value_begins(before, encode):
    """Of a text in Base64 no letter stays that the value alone decides."""
    masked = Masks([VALUE]).text(encode(f"{before}{VALUE}, more".encode()).decode())
    size = len(VALUE.encode())
    assert "***" in masked
    assert len(masked) <= len(encode(f"{before}, more".encode())) + 3 + 4 < size * 4 // 3 + 20


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        base64.b64encode(VALUE.encode()).decode().rstrip("="),
        urllib.parse.quote(VALUE),
        urllib.parse.quote(VALUE, safe=""),
        urllib.parse.quote_plus(VALUE),
        urllib.parse.quote(VALUE, safe="").lower().replace("p%26", "p%26"),
        urllib.parse.quote(VALUE, safe="!'()*"),
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE, ensure_ascii=False)[1:-1],
        repr(VALUE)[1:-1],
    ],
)
def test_a_value_is_found_as_programs_write_it(form):
    """Percent-encoded, in JSON and as Python shows it, a value is the same secret."""
    assert Masks([VALUE]).text(f"a {form} b") == "a *** b"


def test_a_json_value_is_masked_all_through():
    """Texts, names and numbers anywhere in a value are masked; the rest stays as it is."""
    masks = Masks(["hunter2", "12345678"])
    value = {"a hunter2": ["hunter2", 12345678, 1.5, True, None, {"x": "ok"}]}
    assert masks.json(value) == {"a ***": ["***", "***", 1.5, True, None, {"x": "ok"}]}


@pytest.mark.parametrize("value", ["", "abc", "ab\n", "é1"])
def test_a_short_value_is_refused(value):
    """A value of less than four bytes is refused, and not repeated in the message."""
    with pytest.raises(UsageError, match=r"at least 4 bytes, got \d as value 2"):
        check_values(["long enough", value])


def test_too_many_bytes_are_refused():
    """Values that would take too much memory are refused."""
    with pytest.raises(UsageError, match="at most 32768 bytes of values, got 40000"):
        check_values(["x" * 20_000] * 2)


def test_names_say_which_variables_are_secret():
    """Variables are chosen by the end of their names, in any case."""
    names = ["GITHUB_TOKEN", "db_password", "AWS_SECRET_ACCESS_KEY", "TOKEN", "SSH_PRIVATE_KEY", "MY_SECRET"]
    plain = ["PATH", "TOKENS", "SECRETARY", "MONKEY", "TOKEN_URL"]
    assert list(secret_variables(dict.fromkeys([*names, *plain], "x"))) == names
