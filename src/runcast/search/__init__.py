"""Searches: expressions, the lines of a log that match, and the process that looks for them."""

from runcast.search.expression import Expression
from runcast.search.lines import Hit, Search
from runcast.search.whole import End, Found, Limits, search_log

__all__ = ["End", "Expression", "Found", "Hit", "Limits", "Search", "search_log"]
