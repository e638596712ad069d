"""Benchmarks: `python -m tests.bench` runs them all against a real daemon process over its real socket.

Each file here that is in `registry.BENCHES` is one bench: a function from a `Scale` to rows. A row compares a figure
with a baseline that was measured in the same run, because the machine's mood moves both alike.
"""
