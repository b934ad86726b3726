"""Signatures of webhooks: the examples of those who defined them, and what is no signature."""

import pytest

from runcast.signatures import is_signed, is_signed_standard, key_of, sign_standard

# The example of the specification, "Signing the webhook", also in the tests of its libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_standard():
    """The example of Standard Webhooks has its signature, and is recognised among others."""
    key = key_of(SECRET)

    assert sign_standard(key, *MESSAGE) == SIGNATURE
    assert is_signed_standard(key, *MESSAGE, f"v1a,xyz v1,wrong {SIGNATURE}")


@pytest.mark.parametrize("header", ["", "v1,", SIGNATURE[3:], SIGNATURE[:-1], "é", f"v2,{SIGNATURE[3:]}"])
def test_not_standard(header: str):
    """Without version, cut or of another one it is none."""
    assert not is_signed_standard(key_of(SECRET), *MESSAGE, header)


def test_github():
    """The example of GitHub's documentation has its signature, of any case, behind its prefix only."""
    key, body = b"It's a Secret to Everybody", b"Hello, World!"
    signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert is_signed(key, body, f"sha256={signature}", "sha256=")
    assert is_signed(key, body, signature.upper())
    assert not is_signed(key, body, signature, "sha256=")
    assert not is_signed(key, body + b"!", f"sha256={signature}", "sha256=")
    assert not is_signed(key, body, "é", "sha256=")


def test_keys():
    """A secret is its own bytes, or what it has in base64; short ones are refused without being shown."""
    assert key_of("é" * 8) == "é".encode() * 8
    for secret, why in (
        ("hunter2", "16 bytes, got 7"),
        ("whsec_aGk=", "got 2"),
        ("whsec_hunter2!", "base64"),
    ):
        with pytest.raises(ValueError, match=why) as caught:
            key_of(secret)
        assert "hunter2" not in str(caught.value)
