"""`rkat usage` and the limits of the command line: what is asked for, and how amounts are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_client.errors import RkatError
from rkat.bars import bars
from rkat.budgets import dollars, money, params_of, warning
from rkat.commands.usage import _day

NOTHING = dict.fromkeys(("max_duration", "max_tool_calls", "max_total_tokens", "max_cost", "session_budget"))


def test_options_become_limits_of_the_turn_and_of_the_session() -> None:
    said = {**NOTHING, "max_duration": "90s", "max_cost": 0.5, "session_budget": ["max_tokens=9", "duration=60"]}
    assert params_of(**said) == {
        "budget_limits": {"max_duration": "90s", "max_cost": 0.5},
        "session_budget_limits": {"max_tokens": 9, "max_duration": 60.0},
    }
    assert params_of(**NOTHING) == {"budget_limits": None, "session_budget_limits": None}


@pytest.mark.parametrize("word", ["max_tokens", "max_wishes=3", "max_tokens=many", "=5", "max_tool_calls=1.5"])
def test_a_session_budget_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(RkatError) as refused:
        params_of(**{**NOTHING, "session_budget": [word]})
    assert refused.value.code == "INVALID_PARAMS"


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0, "$0.00"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
        (0.25, "$0.2500"),
        (2e-5, "$0.000020"),
        (1e-9, "<$0.000001"),
    ],
)
def test_money_has_as_many_digits_as_say_something(usd: float, shown: str) -> None:
    assert dollars(usd) == shown


def test_a_cost_says_what_is_estimated_and_what_is_missing() -> None:
    assert money(None) is None
    assert money({"usd": 2.0, "estimated": True, "unpriced_calls": 3}) == "~$2.00+"


def test_a_warning_is_a_line_that_says_whose_budget_and_of_what() -> None:
    payload = {"budget_type": "time", "used": 9000, "limit": 10_000, "percent": 90.0, "scope": "session"}
    assert warning(payload) == "90 % of the session's budget are used: 9 s of 10 s"


@given(st.lists(st.floats(0, 1e12)), st.integers(1, 60))
def test_bars_are_no_wider_than_their_room_and_the_largest_fills_it(values, cells) -> None:
    drawn = bars(values, cells=cells)
    assert len(drawn) == len(values)
    assert all(len(bar) <= cells for bar in drawn)
    if any(values):
        assert len(drawn[values.index(max(values))]) == cells


def test_days_ago_become_days_and_anything_else_is_left_to_the_daemon() -> None:
    assert _day(None) is None
    assert _day("2026-11-01") == "2026-11-01"
    assert len(_day("7d") or "") == 10
