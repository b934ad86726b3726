"""Forms with files: what is in them, wherever a search for their boundary is cut; what is none is refused."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.client.form import Form
from runcast.errors import UsageError
from runcast.sysio.uploads import upload_of
from runcast.web.http.multipart import boundary_in, is_multipart, parts_in

HEAD = b'--b\r\nContent-Disposition: form-data; name="'
FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
END = b"\r\n--b--\r\n"


def in_file(body: bytes) -> int:
    """Return a descriptor of a file with this in it."""
    fd = os.memfd_create("body", os.MFD_CLOEXEC)
    os.write(fd, body)
    return fd


def test_form():
    """A field has its text, a file its name, its place and its size."""
    fd = in_file(HEAD + b'name"\r\n\r\ncount\r\n' + FILE + b"1,2\n--b\r\n" + END)
    name, file = parts_in(fd, b"b")
    assert (name.name, name.filename, name.value) == ("name", None, "count")
    assert (file.name, file.filename) == ("f", "a.csv")
    assert os.pread(fd, file.size, file.start) == b"1,2\n--b\r\n"
    os.close(fd)


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024 - 40, 1024 * 1024 - 3, 1024 * 1024, 3 * 1024 * 1024 + 1])
def test_long_file(size: int):
    """A file of any length is found whole, also where the search goes from one piece to the next."""
    fd = in_file(FILE + b"\n" * size + END)
    [file] = parts_in(fd, b"b")
    assert file.size == size
    os.close(fd)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"--b",
        b"--b--"[:3] + b"x",
        b"--b\r\n\r\nx" + END,
        HEAD + b'a"\r\n\r\nx',
        HEAD + b'a"\r\nX: ' + b"x" * 9000 + b"\r\n\r\nx" + END,
        HEAD + b"\xff" + b'"\r\n\r\nx' + END,
        HEAD + b'a"\r\n\r\n\xff' + END,
        HEAD + b'a"\r\n\r\n' + b"x" * 70000 + END,
        b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\nx' + END,
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx" + END,
        b'--b\nContent-Disposition: form-data; name="a"\n\nx\n--b--\n',
        (HEAD + b'a"\r\n\r\nx\r\n') * 201 + b"--b--\r\n",
    ],
)
def test_no_form(body: bytes):
    """What is not exactly of this form is refused."""
    fd = in_file(body)
    with pytest.raises(UsageError, match=r"expected a body of multipart/form-data"):
        parts_in(fd, b"b")
    os.close(fd)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/form-data; boundary=a-b", b"a-b"),
        ('Multipart/Form-Data; charset=x; boundary="a b"; c=d', b"a b"),
    ],
)
def test_boundary(kind: str, boundary: bytes):
    """The boundary is a parameter of the type."""
    assert is_multipart(kind)
    assert boundary_in(kind) == boundary


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "a; boundary=é"])
def test_no_boundary(kind: str):
    """A type without one is refused."""
    with pytest.raises(UsageError, match="with a boundary"):
        boundary_in(kind)


@given(st.dictionaries(st.text(min_size=1), st.one_of(st.text(), st.binary()), max_size=5))
def test_there_and_back(fields: dict[str, str | bytes]):
    """What our client writes is what is read; its length is known before."""
    texts = {
        name.encode(errors="replace").decode(): value.encode(errors="replace").decode()
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }
    form = Form(
        {name: value if isinstance(value, str) else upload_of(name, value) for name, value in texts.items()}
    )
    body = b"".join(form)
    assert len(body) == form.length
    fd = in_file(body)
    parts = parts_in(fd, boundary_in(form.content_type))
    found = [os.pread(fd, part.size, part.start) for part in parts]
    os.close(fd)
    assert found == [value.encode() if isinstance(value, str) else value for value in texts.values()]
    assert [part.filename for part in parts] == [
        None if isinstance(value, str) else "file" for value in texts.values()
    ]


def test_of_a_file(tmp_path: Path):
    """A file goes from where it is open; its name has no folder."""
    path = tmp_path / "a b.csv"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        form = Form({"p.x": upload_of("x", file)})
    assert b"".join(form).partition(b"\r\n\r\n")[2].startswith(b"456789\r\n--")
    assert b'filename="a b.csv"' in b"".join(form)
