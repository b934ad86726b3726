"""Which variables `line_buffered` sets, and of which programs it says that it cannot act on them."""

import os
from pathlib import Path

import pytest

from runcast.sources.line_buffering import set_line_buffered
from tests.unit.sysio.test_executables import GLIBC, MUSL, elf, put


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> str:
    """Return a PATH with a `stdbuf` that has its library beside it, for glibc."""
    for folder in ("bin", "libexec/coreutils"):
        (tmp_path / folder).mkdir(parents=True)
    put(tmp_path / "bin/stdbuf", elf(GLIBC))
    put(tmp_path / "libexec/coreutils/libstdbuf.so", elf() + b"libc.so.6")
    return f"{tmp_path}/bin"


def library(path: str) -> str:
    return f"{os.path.dirname(path)}/libexec/coreutils/libstdbuf.so"


def test_variables(path: str):
    """A dynamically linked program gets the library, and the languages a line of their own."""
    put(Path(path) / "program", elf(GLIBC))
    env = {"PATH": path}

    assert set_line_buffered(env, "program", "/") is None
    assert env["LD_PRELOAD"] == library(path)
    assert env["_STDBUF_O"] == "L"
    assert env["LUA_INIT"] == "io.stdout:setvbuf'line'"
    for name, option in (("RUBYOPT", "-r"), ("PERL5OPT", "-I")):
        assert os.path.exists(env[name].split()[0].removeprefix(option))


def test_what_is_set_already_stays(path: str):
    """Variables that have a value keep it behind ours, and twice is as once."""
    given = {
        "LD_PRELOAD": "/lib/mine.so",
        "_STDBUF_O": "0",
        "LUA_INIT": "x = 1",
        "LUA_INIT_5_4": "@/a file.lua",
        "RUBYOPT": "-W0",
        "PERL5OPT": "-w",
    }
    env = {"PATH": path, **given}
    set_line_buffered(env, "program", "/")
    once = dict(env)
    set_line_buffered(env, "program", "/")

    assert env == once
    assert env["LD_PRELOAD"] == f"/lib/mine.so:{library(path)}"
    assert env["_STDBUF_O"] == "0"
    assert env["LUA_INIT"] == "io.stdout:setvbuf'line' x = 1"
    assert env["LUA_INIT_5_4"] == "io.stdout:setvbuf'line' dofile[==[/a file.lua]==]"
    assert env["RUBYOPT"].endswith(".rb -W0")
    assert env["PERL5OPT"].endswith(" -w")


@pytest.mark.parametrize(
    ("data", "mode", "preloaded", "expected"),
    [
        (elf(GLIBC), 0o4755, False, "put `stdbuf -oL` between it and the program that it starts"),
        (elf(), 0o755, True, "it is linked statically"),
        (elf(MUSL), 0o755, False, f"it is loaded by {MUSL}"),
        (elf(GLIBC, bits=32), 0o755, False, f"it is loaded by {GLIBC}"),
        (elf(GLIBC, machine=183), 0o755, False, "is not built"),
    ],
)
def test_programs_that_cannot_load_it(path: str, data: bytes, mode: int, preloaded: bool, expected: str):
    """What would not start with the library is started without it, and a sentence says what to do."""
    program = put(Path(path) / "program", data, mode)
    script = put(Path(path) / "script", f"#!{program}\n".encode())
    for name in ("program", "../bin/program", script):
        env = {"PATH": path}
        unfit = set_line_buffered(env, name, path)

        assert unfit is not None
        assert f"cannot act on {name!r}: " in unfit
        assert expected in unfit
        assert ("LD_PRELOAD" in env) is preloaded
        assert "PERL5OPT" in env


def test_libraries_of_musl(path: str):
    """Where coreutils are linked against musl, they act on such programs and on no others."""
    put(Path(library(path)), elf() + b"libc.musl-x86_64.so.1")
    put(Path(path) / "here", elf(MUSL))
    put(Path(path) / "foreign", elf(GLIBC))

    assert set_line_buffered({"PATH": path}, "here", "/") is None
    assert "is not built" in (set_line_buffered({"PATH": path}, "foreign", "/") or "")


def test_nothing_is_known_of_programs_that_are_not_there(path: str):
    """A program that is not found is the supervisor's to report."""
    env = {"PATH": path}

    assert set_line_buffered(env, "nothing", "/") is None
    assert "LD_PRELOAD" in env
