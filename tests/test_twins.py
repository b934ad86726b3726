"""The blocking twins of what is awaited: the same text without the waiting."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.twins import TWINS, formatted, twin

VERB = '''"""The verbs, awaited: all of them."""

from collections.abc import AsyncIterator


class AsyncVerbs:
    """Waiting suspends the calling task."""

    async def resize(self, columns: int, rows: int = 24) -> None:
        """Set the size of the terminal; see `AsyncVerbs`."""
        # await is a word here
        await self._perform(self._control_steps("resize", {"columns": columns, "rows": rows}))

    async def sizes(self) -> AsyncIterator[int]:
        """Yield sizes."""
        async with self as entered:
            async for size in entered:
                yield [one async for one in size]
'''


def test_made_up_verb():
    """A verb's twin blocks and has its signature, docstring and comments, with the twin's names."""
    assert formatted(twin(VERB, "verbs_aio.py"), Path("verbs_sync.py")) == (
        '''"""The verbs, blocking: all of them.

Generated from verbs_aio.py by scripts/twins.py: edit that, and run `make format`.
"""

from collections.abc import Iterator


class Verbs:
    """Waiting blocks the calling thread."""

    def resize(self, columns: int, rows: int = 24) -> None:
        """Set the size of the terminal; see `Verbs`."""
        # await is a word here
        self._perform(self._control_steps("resize", {"columns": columns, "rows": rows}))

    def sizes(self) -> Iterator[int]:
        """Yield sizes."""
        with self as entered:
            for size in entered:
                yield [one for one in size]
'''
    )


@pytest.mark.parametrize("source", TWINS, ids=lambda path: path.parent.name)
def test_nothing_is_awaited(source: Path):
    """A twin awaits nothing and names nothing that has to be awaited; it has all that its source has."""
    awaited, blocking = (ast.parse(path.read_text(encoding="utf-8")) for path in (source, TWINS[source]))
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)

    def functions(tree: ast.Module) -> list[str]:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return [one.name.replace("__a", "__") for one in ast.walk(tree) if isinstance(one, kinds)]

    assert any(isinstance(one, waits) for one in ast.walk(awaited))
    assert not any(isinstance(one, waits) for one in ast.walk(blocking))
    assert "Async" not in ast.unparse(blocking)
    assert functions(awaited) == functions(blocking)


def test_stale_twin_fails_the_check(tmp_path: Path):
    """`--check` fails and names a twin that is not what its source makes; it writes nothing."""
    root = Path(__file__).parents[1]
    for name in ("scripts", "src/runcast"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    stale = tmp_path / "src" / "runcast" / "run" / "verbs_sync.py"
    stale.write_text("# edited by hand\n")

    command = [sys.executable, "scripts/twins.py", "--check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert (done.returncode, done.stdout.split(":")[1].strip()) == (1, "src/runcast/run/verbs_sync.py")
    assert stale.read_text() == "# edited by hand\n"
