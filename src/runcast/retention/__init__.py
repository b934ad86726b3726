"""How finished runs are removed: one by one, by the rules that they were started with, or by hand.

Owns when a run may be removed, and when a process looks for those that may go. Which runs have a rule is
in the store's index (store/kept.py). Knows nothing of how runs are started or shown.
"""
