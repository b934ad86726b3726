"""What tests of the command line share: `call`, which needs no process."""

from tests.unit.cli.conftest import call

__all__ = ["call"]
