"""The list of promises, the tests that hold them, and the ways that they are held over belong together."""

import importlib
from pathlib import Path

import pytest
from tests.behaviours.promises import NOT_PROMISED, PROMISES, exceptions_of
from tests.behaviours.surfaces import SURFACES

FILES = sorted(Path(__file__).parent.glob("test_*.py"))
MODULES = [importlib.import_module(f"tests.behaviours.{file.stem}") for file in FILES if file != Path(__file__)]
TESTS = [test for module in MODULES for test in vars(module).values() if hasattr(test, "promises")]


def test_every_promise_is_held_by_a_test():
    assert {promise for test in TESTS for promise in test.promises} == set(PROMISES)


@pytest.mark.parametrize("surface", SURFACES)
def test_every_promise_is_held_over_every_way_or_it_is_said_why_not(surface: str):
    held = {promise for test in TESTS if surface not in exceptions_of(test) for promise in test.promises}
    assert set(PROMISES) - held == set(NOT_PROMISED.get(surface, ()))


def test_an_exception_has_a_reason():
    reasons = [reason for test in TESTS for reason in exceptions_of(test).values()]
    assert all(reasons)
    assert all(set(exceptions_of(test)) <= set(SURFACES) for test in TESTS)
