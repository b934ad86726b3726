"""Damaged files of a store hide nothing else, and are said to be damaged (promise R25).

The damages and what nobody may make of them are in `tests/helpers/damage.py`; a thousand of them are
tried by `tests/soak/test_damage.py`.
"""

from pathlib import Path

import pytest

from tests.helpers.damage import faults

SEEDS = 64  # each takes a tenth of a second
AT_ONCE = 8
STEP = 17  # so that few seeds meet all kinds of files and of damages


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_damages(first: int, tmp_path: Path) -> None:
    """No damage of one file is answered with a traceback, a 500 or a hang, or hides another run."""
    found = [
        f"{damage}: {fault}"
        for seed in range(first, first + AT_ONCE)
        for damage, wrong in [faults(tmp_path / str(seed), seed * STEP)]
        for fault in wrong
    ]

    assert found == []
