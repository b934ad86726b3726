"""The configuration file: its settings, and the message for each mistake in it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.keep import Keep
from runcast.log import CAP_BYTES
from runcast.server.config import ConfigError, load_config
from runcast.store.queues import QueueBounds
from runcast.web.api.commands import NamedCommand

EXAMPLE = Path(__file__).parents[3] / "examples" / "server.toml"
KEYS = (
    "command, title, description, params, hook, shell, cwd, env, mask, color, line_buffered, tty, columns, "
    "rows, nice, limits, user, timeout, idle_timeout, cap, keep, artifacts, queue, max_running, replace or "
    "on_end"
)
TOP = "commands, queues, max_running, streams, allow_origins, cookie, keep, "
TOP += "user_header, trusted_proxies or roles"


@pytest.fixture(name="error_of")
def told_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], str]:
    """Return the error message for a file with this text."""
    monkeypatch.chdir(tmp_path)

    def error_of(text: str | bytes) -> str:
        Path("s.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        with pytest.raises(ConfigError) as caught:
            load_config("s.toml")
        return str(caught.value)

    return error_of


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

    assert load_config(path).commands["a"].options["timeout"] == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("4096", 4096), ('"4096"', 4096), ('"2K"', 2048), ('"1.5G"', 3 * 512 * 1024**2), ('"none"', None)],
)
def test_sizes(tmp_path: Path, text: str, count: int | None):
    """Sizes are bytes, or a text with units, or none."""
    path = write(tmp_path, f"[commands.a]\ncommand = 'ls'\ncap = {text}")

    assert load_config(path).commands["a"].options["cap"] == count


def test_empty_file(tmp_path: Path):
    """A file without commands is a server on which nothing can be started."""
    assert load_config(write(tmp_path, "# nothing yet\n")).commands == {}


def test_absolute_and_home_folders(tmp_path: Path):
    """A folder that does not begin at the file's stays where it is."""
    text = "[commands.a]\ncommand = 'ls'\ncwd = '/usr'\n[commands.b]\ncommand = 'ls'\ncwd = '~/b'"

    commands = load_config(write(tmp_path, text)).commands

    assert commands["a"].options["cwd"] == "/usr"
    assert commands["b"].options["cwd"] == os.path.expanduser("~/b")


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
    assert any(command.options["shell"] for command in commands.values())
    assert all(command.title and command.to_json() for command in commands.values())


@pytest.mark.parametrize(
    ("text", "expected"),
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
            "s.toml, line 2, port: expected " + TOP + ", got 'port'",
        ),
        (
            "commandz = 1",
            "s.toml, line 1, commandz: expected " + TOP + ", got 'commandz': did you mean commands?",
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
                "s.toml, line 3, commands.a.idle_timeout: expected a duration such as 90, 90s, 5m, 1h30m or "
                f"7d, got {shown}",
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
def test_mistakes(error_of: Callable[[str | bytes], str], text: str | bytes, expected: str):
    """The message has the file, the line, the key, what was expected and what was found."""
    message = error_of(text)

    assert message.startswith(expected)
    assert "\n" not in message
    assert len(message) < 320  # of which the keys of a command are most


def test_a_mistake_is_a_usage_error():
    """Who catches wrong usage catches a wrong file, too."""
    assert issubclass(ConfigError, UsageError)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nothing.toml", "cannot read nothing.toml: no such file or directory"),
        (".", "cannot read .: is a directory"),
    ],
)
def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str):
    """The message for a file that cannot be read names the file and the reason."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert str(caught.value) == expected


def test_line_of_a_mistake_in_a_long_file(error_of: Callable[[str | bytes], str]):
    """The line is found also where other tables have the same keys, and texts look like keys."""
    many = "".join(
        f"[commands.c{number}]\ncommand = '''\n[commands.a]\ntimeou = 1'''\nshell = true\n"
        for number in range(200)
    )

    assert error_of(f"{many}[commands.a]\ncommand = 'ls'\ntimeou = 1\n").startswith(
        "s.toml, line 1003, commands.a.timeou"
    )


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("", None),
        ("keep = 100", Keep(100)),
        ("keep = '7d'", Keep(None, 7 * 86400)),
        ("keep = [5, '2G']", Keep(5, None, 2 << 30)),
    ],
)
def test_keep(tmp_path: Path, text: str, keep: Keep | None):
    """What stays of all finished runs, and of those of a command."""
    assert load_config(write(tmp_path, text)).keep == keep

    command = load_config(write(tmp_path, f"[commands.a]\ncommand = ['true']\n{text}")).commands["a"]
    assert command.options.get("keep") == keep


@pytest.mark.parametrize("text", ["keep = 'soon'", "keep = 0", "keep = [1, 2]", "keep = []"])
@pytest.mark.parametrize("table", ["", "[commands.a]\ncommand = ['true']\n"])
def test_wrong_keep(tmp_path: Path, text: str, table: str):
    """What is no rule is refused with its place."""
    with pytest.raises(ConfigError, match="keep: expected a number of runs"):
        load_config(write(tmp_path, table + text))


def test_bounds(tmp_path: Path):
    """A file says how many runs may go on at once: of the store, and of each queue that it names."""
    config = load_config(write(tmp_path, "max_running = 8\n[queues.builds]\nmax_running = 3\n[queues.one]"))
    assert config.bounds == QueueBounds(8, {"builds": 3, "one": 1})
    assert load_config(write(tmp_path, "")).bounds == QueueBounds()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_running = 0", "line 1, max_running: expected a number from 1 to 1000, got 0"),
        ("max_running = 'two'", "line 1, max_running: expected a number from 1 to 1000, got 'two'"),
        ("queues = 3", "line 1, queues: expected tables [queues.NAME], got 3"),
        ("[queues]\nbuilds = 3", "line 2, queues.builds: expected a table [queues.builds], got 3"),
        ("[queues.builds]\nmax = 3", "line 2, queues.builds.max: expected max_running, got 'max'"),
        ("[queues.'a b']", "line 1, queues.'a b': expected a name of up to 64 letters"),
        ("[commands.x]\ncommand='x'\nqueue='a/b'", "line 3, commands.x.queue: expected a name of up to 64"),
    ],
)
def test_wrong_bounds(tmp_path: Path, text: str, said: str):
    """What has no meaning is reported with its line."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_config(write(tmp_path, text))


def test_params(tmp_path: Path):
    """A command may have parameters, each in a table of its own."""
    text = "[commands.a]\ncommand = ['x', '{n}']\n[commands.a.params.n]\ntype = 'int'\nmax = 9"
    command = load_config(write(tmp_path, text)).commands["a"]
    assert command.to_json()["params"] == {"n": {"type": "int", "title": "n", "max": 9, "required": True}}

    with pytest.raises(ConfigError, match=re.escape("commands.a: params.n: expected type as text, int")):
        load_config(write(tmp_path, text.replace("'int'", "'integer'")))


def test_mask(tmp_path: Path):
    """Secrets of a command come out as they are written."""
    text = "[commands.a]\ncommand = 'ls'\nmask = ['hunter2', 'hunter3']\n"
    assert load_config(write(tmp_path, text)).commands["a"].options.get("mask") == ["hunter2", "hunter3"]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            "['hunter2', 'abc']",
            "mask: expected mask with values of at least 4 bytes, got 3",
        ),
        ("['hunter2', 7]", "mask: expected a string as item 2, got an integer"),
        ("'hunter2'", "mask: expected a list, got a string"),
    ],
)
def test_wrong_mask(error_of: Callable[[str], str], mask: str, message: str):
    """What cannot be masked is refused with its line, and without its value."""
    error = error_of(f"[commands.a]\ncommand = 'ls'\nmask = {mask}\n")
    assert message in error
    assert "hunter" not in error


@pytest.mark.parametrize(
    ("may", "said"),
    [
        ("start:backups", "got 'start:backups': did you mean backup?"),
        ("start:x", "expected start:NAME of a command of this file, got 'start:x'"),
    ],
)
def test_right_to_start_what_is_not_there(error_of: Callable[[str | bytes], str], may: str, said: str):
    """A role that may start no command of the file has a slip in it, which would shut its users out."""
    assert said in error_of(
        f'[commands.backup]\ncommand = ["x"]\n[roles.dev]\nusers = ["eve"]\nmay = ["{may}"]\n'
    )


def test_rights_to_start(tmp_path: Path):
    """A role may start commands of the file, patterns of names, and what `runcast doctor` starts."""
    words = ["start:backup", "start:b*", "start", "start:runcast doctor", "read:gone"]
    (tmp_path / "s.toml").write_text(
        f'[commands.backup]\ncommand = ["x"]\n[roles.dev]\nusers = ["eve"]\nmay = {words}\n'
    )
    assert load_config(str(tmp_path / "s.toml")).people.roles["dev"].may == tuple(words)
