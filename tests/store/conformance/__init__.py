"""The storage conformance suite: what every backend promises, as one set of tests.

A backend is wired by a row of `WIRINGS` in `bench.py`. A test that needs more than a store in memory can give (to be
closed and opened again, say) is marked with `durable`, and is not collected for backends that have no such thing.
`tests/store/test_suite_bites.py` runs the same functions on stores that lie, and demands that they are caught.
"""
