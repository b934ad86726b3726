"""`line_buffered`: variables that have programs write each line at once, although stdout is a pipe.

Owns which variables those are, and on which programs they cannot act, in one sentence. C programs get
coreutils' library, as stdbuf(1) has it loaded; Lua, Ruby and Perl run a line of their own language.
Python programs need nothing here: each command gets `PYTHONUNBUFFERED`. docs/howto/held-output.md has
the programs, with what each does. Starts nothing.
"""

from __future__ import annotations

import os
import shutil
from typing import Final

from runcast.sysio.executables import Executable, executable_at
from runcast.sysio.files import read_kernel

__all__ = ["set_line_buffered"]

_HERE: Final = os.path.dirname(os.path.abspath(__file__))
_NAME = "libstdbuf.so"
_FOLDERS = ("/usr/libexec/coreutils", "/usr/lib/coreutils")
_MUSL = "ld-musl"  # in the name of its loader
_LUA = "io.stdout:setvbuf'line'"


def set_line_buffered(env: dict[str, str], program: str, folder: str) -> str | None:
    """Add the variables to a command's environment; what stands in them already is kept.

    Args:
        env: the whole environment of the command; it is changed.
        program: the first of its arguments.
        folder: in which it runs.

    Returns:
        Why they do not act on the program itself, in one sentence; None where they may. What the
        program starts has them in any case.
    """
    _set_languages(env)
    executable = executable_at(_find(program, env.get("PATH", os.defpath), folder))
    library = _library(env.get("PATH", os.defpath))
    if library is None:
        return f"found no {_NAME} for C programs: install GNU coreutils, or leave line_buffered out"
    unfit = executable and _unfit(executable, library)
    if unfit is None or executable is None or not executable.loader:
        _preload(env, library.path)
    return unfit and f"cannot act on {program!r}: {unfit}"


def _set_languages(env: dict[str, str]) -> None:
    for name in {"LUA_INIT", *(name for name in env if name.startswith("LUA_INIT_"))}:
        given = env.get(name, "")
        if given.startswith("@"):  # the name of a file
            given = f"dofile[==[{given[1:]}]==]"
        if _LUA not in given:  # as in a run that a run starts
            env[name] = f"{_LUA} {given}".rstrip()
    if len(_HERE.split()) == 1:  # both are split at white space, with no way to quote it
        _put_before(env, "RUBYOPT", f"-r{_HERE}/runcast_line_buffered.rb")
        _put_before(env, "PERL5OPT", f"-I{_HERE} -MRuncastLineBuffered")


def _put_before(env: dict[str, str], name: str, words: str) -> None:
    given = env.get(name, "")
    if words not in given:
        env[name] = f"{words} {given}".rstrip()


def _preload(env: dict[str, str], library: str) -> None:
    """Have the loader of C programs load the library, and behind it what they loaded before."""
    env.setdefault("_STDBUF_O", "L")
    given = env.get("LD_PRELOAD", "")
    if library not in given:
        env["LD_PRELOAD"] = f"{given}:{library}" if given else library


def _unfit(executable: Executable, library: Executable) -> str | None:
    """Return why a program cannot load the library, and what to do instead; None if it can."""
    if executable.privileged:
        return (
            "it runs with rights of its own and passes no such variable on; put `stdbuf -oL` "
            "between it and the program that it starts"
        )
    if not executable.loader:
        return 'it is linked statically; use its own switch if it has one, or tty="stdout" (--tty=stdout)'
    if executable.machine != library.machine or (_MUSL in executable.loader) != _is_musl(library.path):
        return (
            f"it is loaded by {executable.loader}, for which {library.path} is not built; use its own "
            'switch if it has one, or tty="stdout" (--tty=stdout)'
        )
    return None


def _is_musl(library: str) -> bool:
    return b"libc.musl" in read_kernel(library)


def _find(program: str, path: str, folder: str) -> str:
    """Return the file of a program, as the supervisor will find it, or something that is no file."""
    if "/" in program:
        return os.path.join(folder, program)
    folders = (os.path.join(folder, one) for one in path.split(":"))
    return shutil.which(program, path=":".join(folders)) or ""


def _library(path: str) -> Executable | None:
    """Return the library of coreutils, beside the `stdbuf` of PATH, or where distributions put it."""
    folders = list(_FOLDERS)
    if stdbuf := shutil.which("stdbuf", path=path):
        beside = os.path.dirname(os.path.realpath(stdbuf))
        above = os.path.dirname(beside)
        folders = [f"{above}/libexec/coreutils", f"{above}/lib/coreutils", beside, *folders]
    found = (executable_at(f"{folder}/{_NAME}") for folder in folders)
    # A colon or a space would divide its name in LD_PRELOAD, which knows no quotes.
    return next((one for one in found if one and not set(one.path) & set(": ")), None)
