"""Mutated lines: a few thousand each time, a million by `pytest -m long`."""

import pytest
from tests.rpc.fuzz_lines import fuzz
from tests.rpc.rpc_kit import Place


def test_a_valid_request_is_answered_after_any_mutated_lines(own_place: Place) -> None:
    fuzz(own_place, 20_000, seed=20)


@pytest.mark.long
def test_a_valid_request_is_answered_after_a_million_mutated_lines(own_place: Place) -> None:
    fuzz(own_place, 1_000_000, seed=1)
