"""What `import runcast` gives: the names of `__all__`, each loaded when it is first used."""

import ast
import importlib
from pathlib import Path

import pytest

import runcast
from tests.helpers.children import run_python


def test_star_import_gives_all():
    """`from runcast import *` brings the names of `__all__`, all of them and nothing else."""
    names: dict[str, object] = {}
    exec("from runcast import *", names)

    assert sorted(names.keys() - {"__builtins__"}) == sorted(runcast.__all__)
    assert len(set(runcast.__all__)) == len(runcast.__all__)


def test_dir_is_all():
    """dir() tells the public names before any of them was used, and the same ones afterwards."""
    said = run_python(
        "import runcast; before = dir(runcast); [getattr(runcast, name) for name in before]\n"
        "print(before == dir(runcast) == sorted(runcast.__all__))"
    )

    assert said == "True\n"


@pytest.mark.parametrize("name", [name for name in runcast.__all__ if name != "__version__"])
def test_name_is_that_of_its_home(name: str):
    """A name of the package is the very object that its module declares public."""
    value = getattr(runcast, name)
    home = importlib.import_module(value.__module__)

    assert name in home.__all__
    assert getattr(home, name) is value
    assert (home.__name__ == "runcast.run.aio") == (name == "AsyncRun")


def test_type_checkers_see_the_same():
    """The imports that only type checkers see are the names that are loaded lazily."""
    tree = ast.parse(Path(runcast.__file__).read_text())
    seen = {
        alias.name
        for statement in tree.body
        if isinstance(statement, ast.If)
        for one in statement.body
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }

    assert seen | {"__version__"} == set(runcast.__all__)


def test_names_are_loaded_at_first_use():
    """`import runcast` loads no module of ours but the version; a name loads its home and stays."""
    said = run_python(
        """
        import sys, runcast
        print(*sorted(name for name in sys.modules if name.startswith("runcast.")))
        runcast.Outcome
        print("runcast.model" in sys.modules, "runcast.run" in sys.modules, "Outcome" in vars(runcast))
        """
    )

    assert said == "runcast._version\nTrue False True\n"


def test_unknown_name():
    """A name that there is none of raises AttributeError, as of any module, and says which."""
    with pytest.raises(AttributeError, match=r"^module 'runcast' has no attribute 'stop'$"):
        _ = runcast.stop  # type: ignore[attr-defined]
    assert not hasattr(runcast, "stop")
    with pytest.raises(ImportError, match="stop"):
        exec("from runcast import stop")
