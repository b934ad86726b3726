"""What is known of programs that hold their output back: a table of them, and hints from it.

Owns the table (programs.toml), as measured, and the sentence for a run that is silent. Must not
know runs, files or how processes are found: it is given what a process is.
"""
