"""Arguments of tool calls that no message of the wire can carry are quoted back and not passed on."""

import json

import pytest

from meerkatd.agent.port import malformed_args
from meerkatd.agent.providers.wire import MAX_ARGS_DEPTH, checked_tool_use, parsed_tool_use


def nested(depth: int) -> str:
    return '{"x": ' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    "text",
    [
        nested(MAX_ARGS_DEPTH + 1),
        nested(100_000),
        '{"x": NaN}',
        '{"x": [1, Infinity]}',
        f'{{"x": 1{"0" * 400}}}',
        "[1]",
    ],
)
def test_what_cannot_travel_is_malformed(text: str):
    block = parsed_tool_use("c", "look", text)
    assert block["data"]["args"] == {}
    assert (malformed_args(block) or "") in text


def test_what_can_travel_is_passed_on():
    text = nested(MAX_ARGS_DEPTH)
    block = parsed_tool_use("c", "look", text)
    assert malformed_args(block) is None
    assert block["data"]["args"] == json.loads(text)


def test_arguments_that_come_as_a_value_are_checked_too():
    assert malformed_args(checked_tool_use("c", "look", {"x": float("nan")})) is not None
    assert malformed_args(checked_tool_use("c", "look", {"x": 1.5}, {"provider": "gemini"})) is None
