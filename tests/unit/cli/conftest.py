"""The command line in this process, for what it says before it starts or waits for anything."""

import pytest

from runcast.cli import main
from tests.helpers.cli import Call, Done


@pytest.fixture
def call(capfdbinary: pytest.CaptureFixture[bytes]) -> Call:
    """Give a function that does what arguments say, and returns how that ended."""

    def call(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Done(code, out, err.decode())

    return call
