"""Settings of the property tests: no deadlines, a slow machine is not a failure; few examples, often.

`RUNCAST_TEST_EXAMPLES=5000` searches longer.
"""

import os

from hypothesis import settings

EXAMPLES = int(os.environ.get("RUNCAST_TEST_EXAMPLES", "50"))

settings.register_profile("unit", deadline=None, max_examples=EXAMPLES)
settings.load_profile("unit")
