"""The chat completions format, and the many ways of being compatible with it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.agent.providers.provider_kit import ask

from meerkatd.agent.port import Completed, ModelRequest, OutputFormat, TextDelta, ToolSpec
from meerkatd.agent.providers.fault import Fault
from meerkatd.agent.providers.openai_chat import OpenAIChat
from meerkatd.contract.message import Message


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more})


def calls(*parts: dict[str, Any]) -> str:
    return chunk({"tool_calls": list(parts)})


def parse(datas: Sequence[str]) -> tuple[list[Any], Completed]:
    parser = OpenAIChat().parser()
    shown = [delta for data in datas for delta in parser.feed(data)]
    return shown, parser.close()


def body(request: ModelRequest, *, strict: bool = False) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(OpenAIChat(strict=strict).build(request, api_key=None).body)
    return sent


def tool_uses(completed: Completed) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (block["data"]["id"], block["data"]["name"], block["data"]["args"])
        for block in completed.blocks
        if block["block_type"] == "tool_use"
    ]


def test_interleaved_parallel_calls_are_put_together_by_index() -> None:
    _, completed = parse(
        [
            calls({"index": 0, "id": "a", "function": {"name": "one", "arguments": ""}}),
            calls({"index": 1, "id": "b", "function": {"name": "two", "arguments": '{"y'}}),
            calls(
                {"index": 0, "function": {"arguments": '{"x": 1}'}}, {"index": 1, "function": {"arguments": '": 2}'}}
            ),
            chunk(finish="tool_calls"),
            "[DONE]",
        ]
    )
    assert tool_uses(completed) == [("a", "one", {"x": 1}), ("b", "two", {"y": 2})]


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    _, completed = parse(
        [
            calls({"id": "a", "function": {"name": "one", "arguments": "{}"}}),
            calls({"id": "b", "function": {"name": "two", "arguments": '{"x":'}}),
            calls({"function": {"arguments": " 1}"}}),
            chunk(finish="stop"),
        ]
    )
    assert tool_uses(completed) == [("a", "one", {}), ("b", "two", {"x": 1})]
    assert completed.stop_reason == "tool_use"


def test_calls_with_the_same_or_no_id_get_ids_of_their_own() -> None:
    _, completed = parse(
        [
            calls({"index": 0, "id": "a", "function": {"name": "one", "arguments": {"x": 1}}}),
            calls({"index": 1, "id": "a", "function": {"name": "two", "arguments": "{}"}}),
            calls({"index": 2, "function": {"name": "three", "arguments": "{}"}}),
            chunk(finish="tool_calls"),
        ]
    )
    ids = [call_id for call_id, _, _ in tool_uses(completed)]
    assert ids[0] == "a"
    assert len(set(ids)) == 3
    assert tool_uses(completed)[0][2] == {"x": 1}


def test_reasoning_of_compatible_servers_is_kept_apart_from_the_text() -> None:
    _, completed = parse([chunk({"reasoning_content": "hm"}), chunk({"content": "yes"}), chunk(finish="stop")])
    assert [block["block_type"] for block in completed.blocks] == ["reasoning", "text"]


def test_usage_may_come_with_every_chunk_or_never() -> None:
    _, completed = parse(
        [
            chunk({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1}),
            chunk(finish="stop", usage={"prompt_tokens": 3, "completion_tokens": 2}),
            json.dumps({"choices": [], "usage": None}),
        ]
    )
    assert (completed.usage.input_tokens, completed.usage.output_tokens) == (3, 2)
    assert parse([chunk({"content": "a"}, finish="stop")])[1].usage.output_tokens == 0


def test_cached_tokens_are_counted_within_the_input() -> None:
    usage = {"prompt_tokens": 30, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 20}}
    _, completed = parse([chunk(finish="stop"), json.dumps({"choices": [], "usage": usage})])
    assert (completed.usage.input_tokens, completed.usage.cache_read_tokens) == (30, 20)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "content_filter"), ("tool_calls", "end_turn"),
     ("something_new", "end_turn")],
)  # fmt: skip
def test_finish_reasons_are_mapped_to_ours(finish: str, reason: str) -> None:
    assert parse([chunk({"content": "a"}), chunk(finish=finish)])[1].stop_reason == reason


def test_a_refusal_is_shown_and_named() -> None:
    shown, completed = parse([chunk({"refusal": "I will not."}), chunk(finish="stop")])
    assert shown == [TextDelta("I will not.")]
    assert completed.stop_reason == "refusal"


def test_an_answer_without_a_finish_reason_is_truncated_even_after_done() -> None:
    with pytest.raises(Fault) as caught:
        parse([chunk({"content": "a"}), "[DONE]"])
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize("data", ["{", "[]", '"text"', '{"choices": 3}'])
def test_an_event_that_is_no_chunk_is_malformed(data: str) -> None:
    with pytest.raises(Fault) as caught:
        parse([data])
    assert caught.value.kind == "malformed"


def test_a_transcript_is_replayed_with_calls_and_results() -> None:
    history: list[Message] = [
        {"role": "user", "content": "weather?", "created_at": ""},
        {
            "role": "block_assistant",
            "blocks": [
                {"block_type": "reasoning", "data": {"text": "hm"}},
                {"block_type": "tool_use", "data": {"id": "a", "name": "look", "args": {"city": "Zürich"}}},
            ],
            "stop_reason": "tool_use",
            "created_at": "",
        },
        {
            "role": "tool_results",
            "results": [{"tool_use_id": "a", "content": [{"type": "text", "text": "no"}], "is_error": True}],
            "created_at": "",
        },
    ]
    sent = body(ModelRequest(model="m", messages=history, system="Be brief."))
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"city":"Zürich"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "[error] no"},
    ]


def test_the_limit_has_the_name_that_the_server_knows() -> None:
    assert body(ask(max_tokens=5), strict=True)["max_completion_tokens"] == 5
    assert body(ask(max_tokens=5))["max_tokens"] == 5


def test_extra_parameters_are_merged_but_cannot_turn_streaming_off() -> None:
    sent = body(ask(extra={"reasoning_effort": "low", "stream": False, "model": "other"}, temperature=0.5))
    assert (sent["reasoning_effort"], sent["stream"], sent["model"], sent["temperature"]) == ("low", True, "other", 0.5)


def test_text_that_is_no_unicode_does_not_stop_a_call() -> None:
    assert "\ud800" in json.loads(OpenAIChat().build(ask("\ud800"), api_key=None).body)["messages"][0]["content"]


def test_tools_are_described_as_functions() -> None:
    sent = body(ask(tools=(ToolSpec(name="look", description="d", input_schema={"type": "object"}),)))
    assert sent["tools"] == [
        {"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object"}}}
    ]


def test_half_characters_become_what_can_be_stored_and_sent() -> None:
    """Servers that cut an answer between tokens send the two halves of a character in two texts; measured, one of them
    in a transcript made the store's commit fail with an error that nobody expected."""
    datas = [
        chunk({"content": "cut \ud83d"}),
        chunk({"content": "\ude00 whole \U0001f600"}),
        calls({"index": 0, "id": "a", "function": {"name": "one", "arguments": r'{"x": "\ud83d", "\udc00": [1]}'}}),
        chunk(finish="tool_calls"),
    ]
    shown, completed = parse(datas)
    assert shown == [TextDelta("cut \ufffd"), TextDelta("\ufffd whole \U0001f600")]
    assert tool_uses(completed) == [("a", "one", {"x": "\ufffd", "\ufffd": [1]})]


def test_an_output_format_is_a_response_format_and_a_users_own_wins() -> None:
    wanted = OutputFormat(name="age", schema={"type": "object"}, strict=True)
    request = ModelRequest(model="m", messages=[], output_format=wanted)
    assert body(request)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "age", "schema": {"type": "object"}, "strict": True},
    }
    assert "response_format" not in body(ModelRequest(model="m", messages=[]))
    own = ModelRequest(model="m", messages=[], output_format=wanted, extra={"response_format": "mine"})
    assert body(own)["response_format"] == "mine"
