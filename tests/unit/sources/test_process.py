"""What is packed for another process, and what cannot be."""

import json
import os
import pickle
import sys
import threading

import pytest

from runcast.errors import UsageError
from runcast.sources.process import argv, pack


def test_pack():
    """The call and what the other process needs to know of this one are in it."""
    surroundings, call = pickle.loads(pack(json.dumps, ([1],), {"indent": 1}))

    assert pickle.loads(call) == (json.dumps, ([1],), {"indent": 1})
    assert surroundings["sys_argv"] == sys.argv
    assert surroundings["sys_path"] == [path or os.getcwd() for path in sys.path]


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
