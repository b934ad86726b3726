"""What is packed for another process, and what cannot be."""

import importlib
import json
import os
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.errors import UsageError
from runcast.sources.process import argv, pack


def test_pack():
    """The call and what the other process needs to know of this one are in it."""
    surroundings, call = pickle.loads(pack(json.dumps, ([1],), {"indent": 1}))

    assert pickle.loads(call) == (json.dumps, ([1],), {"indent": 1})
    assert surroundings["sys_argv"] == sys.argv
    assert surroundings["sys_path"] == [path or os.getcwd() for path in sys.path]


def module_at(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Return a function of a module that was imported from a folder which is not on the path any more."""
    (folder / f"{name}.py").write_text("def job():\n    pass\n")
    with monkeypatch.context() as meanwhile:
        meanwhile.syspath_prepend(folder)
        module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module.job


def test_folder_that_left_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The folder that a worker's application came from is found, though the worker took it off the path."""
    surroundings, _ = pickle.loads(pack(module_at(tmp_path, "its_tasks", monkeypatch), (), {}))

    assert surroundings["sys_path"] == [*(path or os.getcwd() for path in sys.path), str(tmp_path)]


def test_another_module_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where another module of its name would be found first, its folder comes before that one's."""
    for place in ("its", "other"):
        (tmp_path / place).mkdir()
    job = module_at(tmp_path / "its", "same_name", monkeypatch)
    (tmp_path / "other" / "same_name.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "other")
    surroundings, _ = pickle.loads(pack(job, (), {}))

    assert surroundings["sys_path"][:2] == [str(tmp_path / "its"), str(tmp_path / "other")]


def test_argv():
    """The command is an interpreter of this installation, and code that leads back to this package."""
    python, option, code = argv()

    assert os.access(python, os.X_OK)
    assert option == "-c"
    assert (
        os.path.dirname(os.path.dirname(os.path.dirname(sys.modules[pack.__module__].__file__ or ""))) in code
    )


@pytest.mark.parametrize("source", [lambda: None, threading.Lock().acquire], ids=["lambda", "method"])
def test_functions_that_cannot_be_imported(source: object):
    """The error names the function, and says what to do."""
    with pytest.raises(UsageError, match=r"another process can import.* or leave process=True out"):
        pack(source, (), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [threading.Lock(), lambda: None, sys.stdout], ids=["lock", "lambda", "file"]
)
def test_arguments_that_cannot_be_pickled(value: object):
    """The error names what is wrong, and says what to do."""
    with pytest.raises(UsageError, match="expected arguments for 'dumps' that can be pickled"):
        pack(json.dumps, (value,), {})
    with pytest.raises(UsageError, match="pass what they are made from"):
        pack(json.dumps, (), {"obj": value})
