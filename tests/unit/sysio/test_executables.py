"""What stands in the header of a program's file, read from files made for it."""

import struct
from pathlib import Path

import pytest

from runcast.sysio.executables import Executable, executable_at

GLIBC, MUSL = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"
_NOTE, _INTERP = 4, 3  # types of program headers


def elf(loader: str = "", *, bits: int = 64, order: str = "<", machine: int = 62) -> bytes:
    """Return the beginning of an ELF file: its header, a note, and its loader if it has one."""
    wide = bits == 64
    head, entry = (64, 56) if wide else (52, 32)
    name = loader.encode() + b"\0"
    start = head + 2 * entry
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    word = "Q" if wide else "I"
    fields = (3, machine, 1, 0, head, 0, 0, head, entry, 2, 0, 0, 0)
    header = ident + struct.pack(f"{order}HHI{word}{word}{word}IHHHHHH", *fields)
    entries = [(_NOTE, 0, 0), (_INTERP, start, len(name))] if loader else [(_NOTE, 0, 0)] * 2
    table = b""
    for kind, offset, length in entries:
        if wide:
            table += struct.pack(f"{order}IIQQQQQQ", kind, 4, offset, 0, 0, length, length, 1)
        else:
            table += struct.pack(f"{order}IIIIIIII", kind, offset, 0, 0, length, length, 4, 1)
    return header + table + name


def put(path: Path, data: bytes, mode: int = 0o755) -> str:
    """Write a file, and return its path."""
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("loader", [GLIBC, MUSL, ""])
def test_loaders(tmp_path: Path, bits: int, order: str, loader: str):
    """The loader that a file names is found in all forms of ELF; a static file has none."""
    path = put(tmp_path / "program", elf(loader, bits=bits, order=order))
    machine = bytes([2 if bits == 64 else 1, 1 if order == "<" else 2]) + struct.pack(f"{order}H", 62)

    assert executable_at(path) == Executable(path, machine, loader, False)


def test_scripts(tmp_path: Path):
    """A script is its interpreter, through several of them, and not through a circle."""
    program = put(tmp_path / "program", elf(GLIBC))
    first = put(tmp_path / "first", f"#! {program} -x\necho".encode())
    second = put(tmp_path / "second", f"#!{first}\n".encode())
    circle = put(tmp_path / "circle", f"#!{tmp_path}/circle\n".encode())

    assert [executable_at(path) for path in (first, second)] == [executable_at(program)] * 2
    assert executable_at(circle) is None


def test_privileges(tmp_path: Path):
    """A file with the bit of set-user-ID or set-group-ID gives rights."""
    found = [executable_at(put(tmp_path / "p", elf(GLIBC), mode)) for mode in (0o4755, 0o2755, 0o1755, 0o755)]

    assert [one and one.privileged for one in found] == [True, True, False, False]


@pytest.mark.parametrize("data", [b"", b"#!", b"#!\n", b"echo hello\n", b"\x7fELF", elf(GLIBC)[:100]])
def test_no_programs(tmp_path: Path, data: bytes):
    """What has no whole header is no program, and neither is a folder, or nothing."""
    assert executable_at(put(tmp_path / "file", data)) is None
    assert executable_at(str(tmp_path)) is None
    assert executable_at(str(tmp_path / "nothing")) is None
