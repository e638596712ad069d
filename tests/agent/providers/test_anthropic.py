"""The messages format: thinking and its signatures, cache counts, typed errors."""

import json
from typing import Any

import pytest
from tests.agent.providers.provider_kit import ask

from meerkatd.agent.port import Completed, ModelRequest, ReasoningDelta, TextDelta, malformed_args
from meerkatd.agent.providers.anthropic import DEFAULT_MAX_TOKENS, AnthropicMessages
from meerkatd.agent.providers.fault import Fault
from meerkatd.contract.message import Message

STREAM: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "usage": {
                "input_tokens": 11,
                "cache_creation_input_tokens": 3,
                "cache_read_input_tokens": 4,
                "output_tokens": 1,
            }
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "see."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "b3BhcXVl"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "I look."}},
    {"type": "content_block_stop", "index": 2},
    {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "look"}},
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": '{"city": '}},
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": '"Oslo"}'}},
    {"type": "content_block_stop", "index": 3},
    {"type": "content_block_start", "index": 4, "content_block": {"type": "tool_use", "id": "toolu_2", "name": "now"}},
    {"type": "content_block_stop", "index": 4},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 25}},
    {"type": "message_stop"},
]


def parse(events: list[dict[str, Any]]) -> tuple[list[Any], Completed]:
    parser = AnthropicMessages().parser()
    shown = [delta for event in events for delta in parser.feed(json.dumps(event))]
    return shown, parser.close()


def body(request: ModelRequest) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(AnthropicMessages().build(request, api_key="k").body)
    return sent


def test_an_answer_with_thinking_text_and_calls_is_put_together_in_order() -> None:
    shown, completed = parse(STREAM)
    assert shown == [ReasoningDelta("Let me "), ReasoningDelta("see."), TextDelta("I look.")]
    assert list(completed.blocks) == [
        {
            "block_type": "reasoning",
            "data": {"text": "Let me see.", "meta": {"provider": "anthropic", "signature": "c2ln"}},
        },
        {"block_type": "reasoning", "data": {"meta": {"provider": "anthropic_redacted", "data": "b3BhcXVl"}}},
        {"block_type": "text", "data": {"text": "I look."}},
        {"block_type": "tool_use", "data": {"id": "toolu_1", "name": "look", "args": {"city": "Oslo"}}},
        {"block_type": "tool_use", "data": {"id": "toolu_2", "name": "now", "args": {}}},
    ]
    assert completed.stop_reason == "tool_use"


def test_input_tokens_include_what_the_cache_gave_and_took() -> None:
    usage = parse(STREAM)[1].usage
    assert (usage.input_tokens, usage.cache_creation_tokens, usage.cache_read_tokens) == (18, 3, 4)
    assert usage.output_tokens == 25


def test_signatures_survive_the_store_and_are_replayed_unchanged() -> None:
    stored = json.loads(json.dumps(list(parse(STREAM)[1].blocks)))
    history: list[Message] = [
        {"role": "user", "content": "go", "created_at": ""},
        {"role": "block_assistant", "blocks": stored, "stop_reason": "tool_use", "created_at": ""},
        {
            "role": "tool_results",
            "results": [
                {"tool_use_id": "toolu_1", "content": "rain", "is_error": False},
                {"tool_use_id": "toolu_2", "content": "broken", "is_error": True},
            ],
            "created_at": "",
        },
    ]
    sent = body(ModelRequest(model="m", messages=history))["messages"]
    assert sent[1] == {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        ],
    }
    assert [(part["tool_use_id"], part["is_error"]) for part in sent[2]["content"]] == [
        ("toolu_1", False),
        ("toolu_2", True),
    ]


def test_thinking_of_another_provider_and_foreign_ids_are_made_acceptable() -> None:
    history: list[Message] = [
        {"role": "user", "content": "go", "created_at": ""},
        {
            "role": "block_assistant",
            "blocks": [
                {"block_type": "reasoning", "data": {"text": "unsigned"}},
                {"block_type": "tool_use", "data": {"id": "functions.look:0", "name": "look", "args": {}}},
            ],
            "stop_reason": "tool_use",
            "created_at": "",
        },
    ]
    sent = body(ModelRequest(model="m", messages=history))["messages"]
    assert sent[1]["content"] == [{"type": "tool_use", "id": "functions_look_0", "name": "look", "input": {}}]
    assert sent[2]["content"][0]["tool_use_id"] == "functions_look_0"
    assert sent[2]["content"][0]["is_error"] is True


def test_the_prefix_of_a_session_is_marked_for_the_cache() -> None:
    sent = body(ask(system="Be brief."))
    assert sent["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert sent["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}


def test_a_limit_is_always_sent_since_the_api_demands_one() -> None:
    assert body(ask())["max_tokens"] == DEFAULT_MAX_TOKENS
    assert body(ask(max_tokens=7))["max_tokens"] == 7


def test_broken_arguments_are_kept_as_the_model_wrote_them() -> None:
    events = [
        event if event.get("index") != 3 or event["type"] != "content_block_delta"
        else {**event, "delta": {"type": "input_json_delta", "partial_json": '{"city": '}}
        for event in STREAM
    ]  # fmt: skip
    block = parse(events)[1].blocks[3]
    assert block["block_type"] == "tool_use"
    assert malformed_args(block) == '{"city": {"city": '


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("end_turn", "end_turn"), ("max_tokens", "max_tokens"), ("stop_sequence", "stop_sequence"),
     ("refusal", "refusal"), ("pause_turn", "pause_turn"),
     ("model_context_window_exceeded", "context_window_exceeded"), ("something_new", "end_turn")],
)  # fmt: skip
def test_stop_reasons_are_mapped_to_ours(theirs: str, ours: str) -> None:
    events = [*STREAM[:-2], {"type": "message_delta", "delta": {"stop_reason": theirs}, "usage": {}}, STREAM[-1]]
    assert parse(events)[1].stop_reason == ours


@pytest.mark.parametrize(
    ("kind_of_error", "kind", "status"),
    [("overloaded_error", "overloaded", 529), ("rate_limit_error", "rate_limited", 429), ("api_error", "server", 500),
     ("invalid_request_error", "bad_request", 400), ("something_new", "server", None)],
)  # fmt: skip
def test_an_error_event_is_told_by_its_type(kind_of_error: str, kind: str, status: int | None) -> None:
    event = {"type": "error", "error": {"type": kind_of_error, "message": "no"}}
    with pytest.raises(Fault) as caught:
        parse([event])
    assert (caught.value.kind, caught.value.status) == (kind, status)


def test_blocks_and_events_that_we_do_not_know_are_passed_over() -> None:
    strange: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 9, "content_block": {"type": "server_tool_use", "id": "x"}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "citations_delta"}},
        {"type": "content_block_delta", "index": 77, "delta": {"type": "text_delta", "text": "lost"}},
        {"type": "vendor_event"},
    ]
    assert len(parse([*STREAM[:-2], *strange, *STREAM[-2:]])[1].blocks) == 5


def test_an_answer_without_a_stop_reason_is_truncated() -> None:
    with pytest.raises(Fault) as caught:
        parse([*STREAM[:-2], STREAM[-1]])
    assert caught.value.kind == "truncated"
