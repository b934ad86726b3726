"""The public API as users write it. Type-checked by `make lint`, never run."""

from typing import assert_type

import runcast

assert_type(runcast.__version__, str)
