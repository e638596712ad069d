"""The life of a turn, as a table."""

import pytest

from meerkatd.sessions.turn_state import TERMINAL, TRANSITIONS, ImpossibleTransition, advance


def test_a_turn_that_ended_takes_no_further_step():
    assert not [step for step in TRANSITIONS if step[0] in TERMINAL]


def test_every_state_but_the_first_can_be_reached():
    reached = {"admitted"}
    while (more := reached | {after for (before, _), after in TRANSITIONS.items() if before in reached}) != reached:
        reached = more
    assert reached == {"admitted", "running", "interrupting"} | TERMINAL


def test_a_turn_that_finishes_while_an_interrupt_is_on_its_way_has_finished():
    assert advance(advance("running", "interrupt"), "finished") == "completed"


def test_a_step_that_the_table_does_not_have_is_a_bug_that_is_told():
    with pytest.raises(ImpossibleTransition):
        advance("completed", "begun")
