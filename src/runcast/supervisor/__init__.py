"""Supervisors: detached owners of processes, which write the log and the outcome.

Imports no reader, wire or web code: a supervisor must start in milliseconds and stay small.
"""
