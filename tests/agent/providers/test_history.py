"""What providers are told of a transcript: every history becomes one that all of them accept."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meerkatd.agent.providers.history import EARLIER, EMPTY, NO_RESULT, AssistantStep, UserStep, steps_of
from meerkatd.contract.message import Message

AT = "2026-01-01T00:00:00Z"


def user(text: str) -> Message:
    return {"role": "user", "content": text, "created_at": AT}


def notice(text: str) -> Message:
    return {"role": "system_notice", "kind": "generic", "body": text, "created_at": AT}


def assistant(*blocks: Any, stop: Any = "end_turn") -> Message:
    return {"role": "block_assistant", "blocks": list(blocks), "stop_reason": stop, "created_at": AT}


def text(value: str) -> Any:
    return {"block_type": "text", "data": {"text": value}}


def call(call_id: str, name: str = "look") -> Any:
    return {"block_type": "tool_use", "data": {"id": call_id, "name": name, "args": {}}}


def results(*ids: str) -> Message:
    rows: Any = [{"tool_use_id": call_id, "content": f"result {call_id}", "is_error": False} for call_id in ids]
    return {"role": "tool_results", "results": rows, "created_at": AT}


def test_what_the_users_side_says_in_a_row_becomes_one_step() -> None:
    steps = steps_of([user("one"), notice("The turn was interrupted."), user("two")])
    assert steps == [UserStep(texts=["one", "The turn was interrupted.", "two"])]


def test_an_answer_that_was_cut_off_before_anything_came_is_left_out() -> None:
    steps = steps_of([user("one"), assistant(stop="cancelled"), user("two")])
    assert steps == [UserStep(texts=["one", "two"])]


def test_an_answer_of_nothing_but_reasoning_is_left_out() -> None:
    thought = {"block_type": "reasoning", "data": {"text": "hm"}}
    assert steps_of([user("one"), assistant(thought, stop="cancelled"), user("two")]) == [
        UserStep(texts=["one", "two"])
    ]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    steps = steps_of([user("one"), assistant(call("a"), call("b")), results("b"), user("two")])
    assert isinstance(steps[2], UserStep)
    assert [(result.call_id, result.text, result.is_error) for result in steps[2].results] == [
        ("a", NO_RESULT, True),
        ("b", "result b", False),
    ]
    assert steps[2].texts == ["two"]


def test_a_result_whose_call_is_gone_becomes_plain_text() -> None:
    steps = steps_of([user("one"), results("a")])
    assert steps == [UserStep(texts=["one", "(Result of an earlier tool call)\nresult a"])]


def test_a_history_that_begins_with_an_answer_gets_a_beginning() -> None:
    assert steps_of([assistant(text("hi")), user("one")])[0] == UserStep(texts=[EARLIER])


def test_an_empty_prompt_is_told_as_empty() -> None:
    assert steps_of([user("  ")]) == [UserStep(texts=[EMPTY])]


_IDS = st.sampled_from("abc")
_MESSAGES = st.one_of(
    st.builds(user, st.sampled_from(["", " ", "hello"])),
    st.builds(notice, st.sampled_from(["", "told"])),
    st.lists(st.one_of(st.builds(text, st.sampled_from(["", "said"])), st.builds(call, _IDS)), max_size=3).map(
        lambda blocks: assistant(*{str(block): block for block in blocks}.values())
    ),
    st.lists(_IDS, max_size=3).map(lambda ids: results(*ids)),
)


@given(st.lists(_MESSAGES, max_size=8))
def test_every_history_alternates_and_answers_each_call_in_the_next_step(messages: list[Message]) -> None:
    steps = steps_of(messages)
    assert isinstance(steps[0], UserStep)
    for before, after in itertools.pairwise(steps):
        assert type(before) is not type(after)
    for index, step in enumerate(steps):
        if isinstance(step, AssistantStep):
            assert step.blocks
            ids = list(dict.fromkeys(b["data"]["id"] for b in step.blocks if b["block_type"] == "tool_use"))
            following = steps[index + 1] if ids else UserStep()
            assert isinstance(following, UserStep)
            assert [result.call_id for result in following.results] == ids
        else:
            assert step.texts or step.results
            assert all(part.strip() for part in step.texts)
