"""What servers that do not start say."""

import re
from collections.abc import Callable

import pytest

from runcast.cli import main


@pytest.fixture
def serve_refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return the sentence with which `runcast serve` refuses options; nothing listens, so it runs here."""

    def refused(*arguments: object) -> str:
        code = main(["serve", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert (code, out) == (2, "")
        assert re.fullmatch(r"runcast: [^\n]+\n", err)
        return err.removeprefix("runcast: ").rstrip("\n")

    return refused
