"""Parameters that are files: what may be declared, and which files fit."""

from typing import Any

import pytest

from runcast.errors import UsageError
from runcast.store.uploads import placed
from runcast.sysio.uploads import Upload, shown_name, upload_of
from runcast.web.api.commands import NamedCommand
from runcast.web.api.param import Param
from runcast.web.api.params import Params
from tests.unit.web.api.test_params import PAYLOADS


def test_declared():
    """A file has a bound and the suffixes that it may have."""
    param = Param.declared("data", {"type": "file", "max_bytes": "10M", "accept": [".csv", ".tar.gz"]})
    assert param.max_bytes == 10 * 1024 * 1024
    assert param.to_json() == {
        "type": "file",
        "title": "data",
        "required": True,
        "max_bytes": 10 * 1024 * 1024,
        "accept": [".csv", ".tar.gz"],
    }
    assert Param.declared("data", {"type": "file"}).max_bytes == 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"type": "file", "default": "a"}, "expected no default with a file"),
        ({"type": "file", "max_bytes": "much"}, "expected max_bytes as a size"),
        ({"type": "file", "max_bytes": 0}, "expected max_bytes as a size"),
        ({"type": "file", "accept": ["csv"]}, "expected accept as a list of suffixes"),
        ({"type": "file", "accept": ["./../x"]}, "expected accept as a list of suffixes"),
        ({"type": "file", "accept": ".csv"}, "expected accept as a list of suffixes"),
        ({"type": "file", "pattern": "a"}, "expected pattern with type text or secret"),
        ({"max_bytes": 3}, "expected max_bytes with type file"),
        ({"accept": [".csv"]}, "expected accept with type file"),
    ],
)
def test_wrongly_declared(table: dict[str, Any], why: str):
    """What has no meaning is refused."""
    with pytest.raises(UsageError) as caught:
        Param.declared("data", table)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a.csv", "expected data as a file: send it as multipart/form-data"),
        (3, "expected data as a file"),
        (b"12345", "expected data as a file of at most 4 bytes, got 5"),
        (b"1234", "expected data as a file whose name ends with .csv, got 'file'"),
    ],
)
def test_unfit(value: object, why: str):
    """What does not fit is refused, with what was expected."""
    with pytest.raises(UsageError) as caught:
        Param.declared("data", {"type": "file", "max_bytes": 4, "accept": [".csv"]}).read(value)
    assert why in str(caught.value)


def test_places():
    """The path of the file takes the place of the parameter, with its option before it."""
    tables = {"a": {"type": "file", "option": "--in"}, "b": {"type": "file", "required": False}}
    params = Params(["prog", "{a}", "{b}"], tables, shell=False)
    values = params.read({"a": b"x"})
    assert isinstance(values["a"], Upload)
    assert params.place(values) == ["prog", f"--in={values['a'].token}"]
    assert params.upload_bytes == 32 * 1024 * 1024
    assert Params(["prog", "{n}"], {"n": {}}, shell=False).upload_bytes == 0


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_hostile_names(payload: str):
    """Whatever a client calls its file, no argument and no path has anything of it."""
    params = Params(["prog", "--", "{a}"], {"a": {"type": "file", "accept": [".csv"]}}, shell=False)
    upload = upload_of("a", b"x")
    upload.name = shown_name(f"{payload}.csv")
    values = params.read({"a": upload})
    assert params.place(values) == ["prog", "--", upload.token]
    assert upload.suffix == ".csv"
    assert "/" not in upload.name
    assert upload.name.isprintable()
    assert placed(params.place(values), {"a": upload}, "/store/id") == (
        ["prog", "--", "/store/id/files/a.csv"],
        {"files": {"a": "/store/id/files/a.csv"}},
    )


def test_no_other_user():
    """A command that runs as somebody else takes none: it could not read them."""
    with pytest.raises(UsageError, match="expected no user with a file"):
        NamedCommand("x", ["cat", "{a}"], params={"a": {"type": "file"}}, user="root")
