"""The configuration file: what it gives, and how each mistake in it is told."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.log import CAP_BYTES
from runcast.server.config import ConfigError, load_config
from runcast.web.commands import NamedCommand

EXAMPLE = Path(__file__).parents[3] / "examples" / "server.toml"
KEYS = "command, title, description, shell, cwd, env, timeout, idle_timeout or cap"


@pytest.fixture(name="told")
def told_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], str]:
    """Return what is said of a file with this text."""
    monkeypatch.chdir(tmp_path)

    def told(text: str | bytes) -> str:
        Path("s.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        with pytest.raises(ConfigError) as caught:
            load_config("s.toml")
        return str(caught.value)

    return told


def write(folder: Path, text: str) -> str:
    path = folder / "server.toml"
    path.write_text(text)
    return str(path)


def test_all_keys(tmp_path: Path):
    """Every key comes out as the value that a run is started with; the order is the file's."""
    path = write(
        tmp_path,
        """
        [commands."deploy.all"]
        command = "./deploy.sh --all && echo done"
        title = "Deploy"
        description = "Everywhere."
        shell = true
        cwd = "work"
        env = { TARGET = "production", EMPTY = "" }
        timeout = "1h30m"
        idle_timeout = 90
        cap = "64M"

        [commands.a-1_b]
        command = ["ls", "-l"]
        """,
    )

    deploy, ls = load_config(path).commands.values()

    assert deploy == NamedCommand(
        name="deploy.all",
        command="./deploy.sh --all && echo done",
        title="Deploy",
        description="Everywhere.",
        shell=True,
        cwd=str(tmp_path / "work"),
        env={"TARGET": "production", "EMPTY": ""},
        timeout=5400.0,
        idle_timeout=90.0,
        cap=64 * 1024**2,
    )
    assert ls == NamedCommand(name="a-1_b", command=["ls", "-l"], cap=CAP_BYTES)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1.0),
        ("0.5", 0.5),
        ('"5"', 5.0),
        ('"90s"', 90.0),
        ('"5m"', 300.0),
        ('"250ms"', 0.25),
        ('"2d1h"', 176400.0),
    ],
)
def test_durations(tmp_path: Path, text: str, seconds: float):
    """Durations are seconds, or a text with units."""
    path = write(tmp_path, f"[commands.a]\ncommand = 'ls'\ntimeout = {text}")

    assert load_config(path).commands["a"].timeout == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("4096", 4096), ('"4096"', 4096), ('"2K"', 2048), ('"1.5G"', 3 * 512 * 1024**2), ('"none"', None)],
)
def test_sizes(tmp_path: Path, text: str, count: int | None):
    """Sizes are bytes, or a text with units, or none."""
    path = write(tmp_path, f"[commands.a]\ncommand = 'ls'\ncap = {text}")

    assert load_config(path).commands["a"].cap == count


def test_empty_file(tmp_path: Path):
    """A file without commands is a server on which nothing can be started."""
    assert load_config(write(tmp_path, "# nothing yet\n")).commands == {}


def test_absolute_and_home_folders(tmp_path: Path):
    """A folder that does not begin at the file's stays where it is."""
    text = "[commands.a]\ncommand = 'ls'\ncwd = '/usr'\n[commands.b]\ncommand = 'ls'\ncwd = '~/b'"

    commands = load_config(write(tmp_path, text)).commands

    assert commands["a"].cwd == "/usr"
    assert commands["b"].cwd == os.path.expanduser("~/b")


@pytest.mark.parametrize(
    ("text", "stream", "together"),
    [
        ("", 1 << 30, None),
        ("[streams]", 1 << 30, None),
        ("[streams]\ncap = '64M'", 64 << 20, None),
        ("[streams]\ncap = 'none'\ntotal_cap = 1000", None, 1000),
    ],
)
def test_caps_of_streams(tmp_path: Path, text: str, stream: int | None, together: int | None):
    """A stream may have 1 GiB and all of them any number of bytes, unless the file says otherwise."""
    config = load_config(write(tmp_path, text))

    assert (config.stream_cap, config.streams_cap) == (stream, together)
    assert config.commands == {}


def test_origins(tmp_path: Path):
    """The origins whose pages may read stand before the tables; by default there are none."""
    config = load_config(
        write(tmp_path, "allow_origins = ['https://A.example:443', 'http://b:81']\n[streams]")
    )

    assert config.allow_origins == ("https://a.example", "http://b:81")
    assert load_config(write(tmp_path, "")).allow_origins == ()


def test_cookie(tmp_path: Path):
    """The cookie is on unless the file says otherwise."""
    assert load_config(write(tmp_path, "")).cookie
    assert load_config(write(tmp_path, "cookie = 'on'")).cookie
    assert not load_config(write(tmp_path, "cookie = 'off'")).cookie


def test_example():
    """The example that comes with the project is right, and shows a list, a string and a shell."""
    commands = load_config(str(EXAMPLE)).commands

    assert len(commands) >= 5
    assert {type(command.command) for command in commands.values()} == {list, str}
    assert any(command.shell for command in commands.values())
    assert all(command.title and command.to_json() for command in commands.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # what is no TOML
        (
            "[commands.a]\ncommand = ",
            "s.toml, line 2, column 11: expected TOML, got something else: invalid value",
        ),
        ("[commands.a\n", "s.toml, line 1, column 12: expected TOML, got something else: expected ']'"),
        ("a = 1\n[b]\n[b]\n", "s.toml, line 3, column 3: expected TOML, got something else: cannot declare"),
        ('x = "é\n', "s.toml, line 1, column 7: expected TOML, got something else: illegal character"),
        (b"[commands.a]\ntitle = '\xff'", "s.toml, line 2: expected UTF-8, got the byte 0xff"),
        # keys that are not known
        (
            "\nport = 80",
            "s.toml, line 2, port: expected commands, streams, allow_origins or cookie, got 'port'",
        ),
        (
            "commandz = 1",
            "s.toml, line 1, commandz: expected commands, streams, allow_origins or cookie, got 'commandz': "
            "did you mean commands?",
        ),
        (
            "[commands.a]\ncommand = 'ls'\ntimeou = 1",
            f"s.toml, line 3, commands.a.timeou: expected {KEYS}, got 'timeou': did you mean timeout?",
        ),
        (
            "[commands.a.b]\ncommand = 'ls'",
            f"s.toml, line 1, commands.a.b: expected {KEYS}, got 'b': a name with a dot is written "
            '[commands."a.b"]',
        ),
        # names
        (
            "[commands.'a b']\ncommand = 'ls'",
            "s.toml, line 1, commands.'a b': expected a name of up to 100 letters, digits and . _ -, "
            "got 'a b'",
        ),
        ("[commands.'é']\ncommand = 'ls'", "s.toml, line 1, commands.'é': expected a name of up to 100"),
        ("[commands.'']\ncommand = 'ls'", "s.toml, line 1, commands.'': expected a name of up to 100"),
        (
            "[commands.'../a']\ncommand = 'ls'",
            "s.toml, line 1, commands.'../a': expected a name of up to 100",
        ),
        # values of another kind
        ("commands = 3", "s.toml, line 1, commands: expected tables [commands.NAME], got 3"),
        ("[commands]\na = 'ls'", "s.toml, line 2, commands.a: expected a table [commands.a], got a string"),
        (
            "[[commands.a]]\ncommand = 'ls'",
            "s.toml, line 1, commands.a: expected a table [commands.a], got a list",
        ),
        (
            "[commands.a]\ntitle = 'A'",
            's.toml, line 1, commands.a: expected a command = ["program", "argument"], got none',
        ),
        (
            "[commands.a]\ncommand = 1",
            "s.toml, line 2, commands.a.command: expected a string or a list, got an integer",
        ),
        (
            "[commands.a]\n\n# the\n# list\ncommand = [\n  'ls',\n  3,\n]",
            "s.toml, line 5, commands.a.command: expected a string as item 2, got an integer",
        ),
        (
            "[commands.a]\ncommand = 'ls'\nshell = 'yes'",
            "s.toml, line 3, commands.a.shell: expected true or false, got a string",
        ),
        (
            "[commands.a]\ncommand = 'ls'\ntitle = 2026-01-01",
            "s.toml, line 3, commands.a.title: expected a string, got a date",
        ),
        (
            "[commands.a]\ncommand = 'ls'\nenv = { B = 'b', A = 1 }",
            "s.toml, line 3, commands.a.env.A: expected a string, got 1",
        ),
        (
            "[commands.a]\ncommand = 'ls'\n[commands.a.env]\nB = 'b'\nA = [1]",
            "s.toml, line 5, commands.a.env.A: expected a string, got [1]",
        ),
        (
            "[commands.a]\ncommand = 'ls'\nenv = { 'A=B' = '1' }",
            "s.toml, line 3, commands.a.env.'A=B': expected a variable without `=`",
        ),
        (
            "[commands.a]\ncommand = 'ls'\ntimeout = true",
            "s.toml, line 3, commands.a.timeout: expected an integer, a number or a string, "
            "got true or false",
        ),
        # values of the right kind that have no meaning
        (
            "[commands.a]\ncommand = 'make && make install'",
            "s.toml, line 2, commands.a.command: expected a command without shell syntax, got '&&' in "
            "'make && make install': set shell = true, or [\"bash\", \"-c\", 'make && make install']",
        ),
        (
            "[commands.a]\ncommand = ['ls']\nshell = true",
            "s.toml, line 2, commands.a.command: expected a string with shell = true, got a list: write 'ls'",
        ),
        (
            "[commands.a]\ncommand = []",
            "s.toml, line 2, commands.a.command: expected a list of at least one string",
        ),
        (
            "[commands.a]\ncommand = ''",
            "s.toml, line 2, commands.a.command: expected a command, got an empty",
        ),
        (
            '[commands.a]\ncommand = "ls \'a"',
            "s.toml, line 2, commands.a.command: expected a command that splits",
        ),
        *(
            (
                f"[commands.a]\ncommand = 'ls'\nidle_timeout = {value}",
                "s.toml, line 3, commands.a.idle_timeout: expected a duration such as 90, 90s, 5m or 1h30m, "
                f"got {shown}",
            )
            for value, shown in (
                ("'5 minutes'", "'5 minutes'"),
                ("''", "''"),
                ("'-5m'", "'-5m'"),
                ("'0s'", "'0s'"),
                ("0", "0"),
                ("-1", "-1"),
                ("inf", "inf"),
                ("nan", "nan"),
            )
        ),
        *(
            (
                f"[commands.a]\ncommand = 'ls'\ncap = {value}",
                "s.toml, line 3, commands.a.cap: expected a size such as 4096, 64M or 1G, or none, "
                f"got {value}",
            )
            for value in ("'64Q'", "'much'", "'0'", "0", "-1")
        ),
        (
            "[commands.a]\ncommand = 'ls'\ncap = 1.5",
            "s.toml, line 3, commands.a.cap: expected an integer or a string, got a number",
        ),
        # the caps of streams
        ("streams = 5", "s.toml, line 1, streams: expected a table [streams], got 5"),
        (
            "[streams]\n\ncaps = '1G'",
            "s.toml, line 3, streams.caps: expected cap or total_cap, got 'caps': did you mean cap?",
        ),
        (
            "[streams]\ntotal_cap = '0'",
            "s.toml, line 2, streams.total_cap: expected a size such as 4096, 64M or 1G, or none, got '0'",
        ),
        ("[streams]\ncap = true", "s.toml, line 2, streams.cap: expected an integer or a string, got true"),
        # other origins
        (
            "allow_origins = 'https://a.example'",
            "s.toml, line 1, allow_origins: expected a list of origins, got a string",
        ),
        (
            "\nallow_origins = ['https://a.example', '*']",
            "s.toml, line 2, allow_origins: expected an origin such as https://app.example or "
            "http://localhost:5173, got '*': any page at all",
        ),
        ("cookie = false", 's.toml, line 1, cookie: expected "on" or "off", got true or false'),
        ("\ncookie = 'of'", 's.toml, line 2, cookie: expected "on" or "off", got \'of\''),
        ("allow_origins = [3]", "s.toml, line 1, allow_origins: expected an origin such as https://app"),
    ],
)
def test_mistakes(told: Callable[[str | bytes], str], text: str | bytes, said: str):
    """A mistake is told with the file, the line, the key, what was expected and what came."""
    message = told(text)

    assert message.startswith(said)
    assert "\n" not in message
    assert len(message) < 300


def test_a_mistake_is_a_usage_error():
    """Who catches wrong usage catches a wrong file, too."""
    assert issubclass(ConfigError, UsageError)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing.toml", "cannot read nothing.toml: no such file or directory"),
        (".", "cannot read .: is a directory"),
    ],
)
def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str):
    """A file that cannot be read is told as such."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert str(caught.value) == said


def test_line_of_a_mistake_in_a_long_file(told: Callable[[str | bytes], str]):
    """The line is found also where other tables have the same keys, and texts look like keys."""
    many = "".join(
        f"[commands.c{number}]\ncommand = '''\n[commands.a]\ntimeou = 1'''\nshell = true\n"
        for number in range(200)
    )

    assert told(f"{many}[commands.a]\ncommand = 'ls'\ntimeou = 1\n").startswith(
        "s.toml, line 1003, commands.a.timeou"
    )
