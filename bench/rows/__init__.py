"""One module a row: a function that yields figures, and a `ROW` that names it."""
