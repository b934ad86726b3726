"""Settings of the property tests: no deadlines, a slow machine is not a failure; few examples, often."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=50)
settings.load_profile("unit")
