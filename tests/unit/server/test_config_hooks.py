"""The tables `[commands.NAME.hook]`: what they have, and the message for each mistake, without the secret."""

from pathlib import Path

import pytest

from runcast.server.config import ConfigError, load_config
from runcast.server.inbound import BODY_BYTES, KINDS, Inbound
from runcast.signatures import key_of

SECRET = "T0ps3cret-0123456"
COMMAND = "[commands.a]\ncommand = 'ls'\n"


def write(folder: Path, hook: str, command: str = COMMAND) -> str:
    path = folder / "server.toml"
    path.write_text(f"{command}[commands.a.hook]\n{hook}\n")
    return str(path)


def test_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A kind and a secret are enough; the secret may be that of a variable, which is named then."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    for kind in KINDS:
        config = load_config(write(tmp_path, f"kind = '{kind}'\nsecret_env = 'HOOK_SECRET'"))
        assert config.hooks == {"a": Inbound(kind, key_of(SECRET), KINDS[kind])}
        assert config.secret_variables == ("HOOK_SECRET",)
    assert list(config.commands) == ["a"]


def test_all_keys(tmp_path: Path):
    """Every key has its meaning."""
    hook = f"""
        kind = "hmac"
        secret = "{SECRET}"
        events = ["built"]
        payload = "file"
        max_body = "2M"
        signature_header = "X-Signed"
        event_header = "X-What"
        delivery_header = "X-Id"
    """
    config = load_config(write(tmp_path, hook))

    expected = Inbound(
        "hmac", key_of(SECRET), KINDS["hmac"]._replace(signature="x-signed", event="x-what", delivery="x-id")
    )
    assert config.hooks["a"].headers == expected.headers
    assert (config.hooks["a"].events, config.hooks["a"].payload, config.hooks["a"].most) == (
        ("built",),
        "file",
        2 * 1024**2,
    )
    assert (BODY_BYTES, config.secret_variables) == (1024**2, ())


GITHUB = f"kind = 'github'\nsecret = '{SECRET}'\n"


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        (
            f"secret = '{SECRET}'",
            'line 3, commands.a.hook: expected kind as "github", "gitea", "standard" or "hmac"',
        ),
        (f"kind = 'gitlab'\nsecret = '{SECRET}'", 'commands.a.hook.kind: expected "github"'),
        ("kind = 'github'", "commands.a.hook: expected secret or secret_env, got none"),
        (f"{GITHUB}secret_env = 'PATH'", "expected secret or secret_env, got both"),
        (
            "kind = 'github'\nsecret = 'T0ps3cret'",
            "line 5, commands.a.hook.secret: expected a secret of at least 16",
        ),
        (
            "kind = 'github'\nsecret_env = 'NO_SUCH'",
            "secret_env: expected a variable that is set, got 'NO_SUCH'",
        ),
        ("kind = 'github'\nsecret = 3", "commands.a.hook.secret: expected a string, got an integer"),
        (f"{GITHUB}event = ['push']", "commands.a.hook.event: expected kind, secret"),
        (f"{GITHUB}events = 'push'", "commands.a.hook.events: expected a list, got a string"),
        (f"{GITHUB}payload = 'argv'", 'commands.a.hook.payload: expected "stdin" or "file", got \'argv\''),
        (f"{GITHUB}max_body = 'none'", "commands.a.hook.max_body: expected a size such as 1M, got none"),
        (f"{GITHUB}max_body = '0'", "commands.a.hook.max_body: expected a size"),
        (f"{GITHUB}event_header = 'X'", 'event_header: expected it with kind = "hmac" only, got "github"'),
        (
            f"kind = 'hmac'\nsecret = '{SECRET}'\nevent_header = 'X: y'",
            "expected the name of a header, got 'X: y'",
        ),
    ],
)
def test_mistakes(tmp_path: Path, hook: str, expected: str):
    """A mistake is named with its line and its key; no message has the secret."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, hook))

    assert expected in str(caught.value)
    assert "T0ps3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "hook", "expected"),
    [
        ("tty = true", GITHUB, 'payload: expected "file" with tty = true'),
        ("mask = []", f"{GITHUB}payload = 'file'", 'payload: expected "stdin" with mask'),
        (
            "[commands.a.params.p]",
            GITHUB,
            "expected parameters with defaults, since a delivery has no values",
        ),
    ],
)
def test_commands_that_cannot_be_started_so(tmp_path: Path, command: str, hook: str, expected: str):
    """A command that no delivery could start is refused when the file is read."""
    text = "[commands.a]\ncommand = ['ls', '--', '{p}']\n" if "params" in command else COMMAND
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, hook, f"{text}{command}\n"))

    assert expected in str(caught.value)


def test_no_table(tmp_path: Path):
    """A hook that is no table is a mistake."""
    (tmp_path / "server.toml").write_text(f"{COMMAND}hook = 'github'")
    with pytest.raises(ConfigError, match=r"commands\.a\.hook: expected a table"):
        load_config(str(tmp_path / "server.toml"))
