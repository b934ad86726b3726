"""A thousand damages by seed (promise R25); 64 others are among the fault tests."""

from pathlib import Path

import pytest

from tests.helpers.damage import faults

FIRST, DAMAGES = 0, 1000
AT_ONCE = 50


@pytest.mark.fault
@pytest.mark.parametrize("first", range(FIRST, FIRST + DAMAGES, AT_ONCE))
def test_damages(first: int, tmp_path: Path) -> None:
    """No damage of one file is answered with a traceback, a 500 or a hang, or hides another run."""
    found = []
    for seed in range(first, first + AT_ONCE):
        damage, wrong = faults(tmp_path / str(seed), seed)
        found += [f"{damage}: {fault}" for fault in wrong]

    assert found == []
