"""Any text that can be said in UTF-8.

`st.text()` gives the same, but a fresh checkout pays a second of each test process for it: it tries
with the codec which characters those are.
"""

from hypothesis import strategies as st

_CHARACTERS = st.characters(exclude_categories=["Cs"])  # all but the halves of surrogate pairs


def texts(*, min_size: int = 0, max_size: int | None = None) -> st.SearchStrategy[str]:
    """Give texts of so many characters."""
    return st.text(_CHARACTERS, min_size=min_size, max_size=max_size)
