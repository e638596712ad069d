"""The Gemini format: thought signatures in every kind of part, calls without ids, many reasons to stop."""

import json
from typing import Any

import pytest
from tests.agent.providers.provider_kit import ask

from meerkatd.agent.port import Completed, ModelRequest, OutputFormat, ReasoningDelta, TextDelta
from meerkatd.agent.providers.fault import Fault
from meerkatd.agent.providers.gemini import FOREIGN_SIGNATURE, GeminiGenerate
from meerkatd.contract.message import Message


def response(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **more}


def parse(responses: list[dict[str, Any]]) -> tuple[list[Any], Completed]:
    parser = GeminiGenerate().parser()
    shown = [delta for each in responses for delta in parser.feed(json.dumps(each))]
    return shown, parser.close()


def body(request: ModelRequest) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(GeminiGenerate().build(request, api_key="k").body)
    return sent


STREAM = [
    response({"text": "Think", "thought": True}),
    response({"text": "ing.", "thought": True}),
    response({"text": "I "}),
    response({"text": "look."}),
    response({"text": "", "thoughtSignature": "dGV4dA=="}),
    response(
        {"functionCall": {"name": "look", "args": {"city": "Oslo"}}, "thoughtSignature": "Y2FsbA=="},
        {"functionCall": {"name": "look", "args": {"city": "Rome"}}},
        finish="STOP",
        usageMetadata={
            "promptTokenCount": 20,
            "cachedContentTokenCount": 8,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 2,
        },
    ),
]


def test_an_answer_with_thoughts_text_and_calls_is_put_together_in_order() -> None:
    shown, completed = parse(STREAM)
    assert shown == [ReasoningDelta("Think"), ReasoningDelta("ing."), TextDelta("I "), TextDelta("look.")]
    assert [block["block_type"] for block in completed.blocks] == ["reasoning", "text", "text", "tool_use", "tool_use"]
    assert completed.blocks[1]["data"] == {"text": "I look."}
    assert completed.stop_reason == "tool_use"


def test_calls_without_ids_get_ids_of_their_own() -> None:
    ids = [block["data"]["id"] for block in parse(STREAM)[1].blocks if block["block_type"] == "tool_use"]
    assert len(set(ids) - {""}) == 2


def test_thoughts_count_as_output_and_the_cache_as_input() -> None:
    usage = parse(STREAM)[1].usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (20, 9, 8)


def test_signatures_survive_the_store_and_go_back_in_the_parts_that_carried_them() -> None:
    stored = json.loads(json.dumps(list(parse(STREAM)[1].blocks)))
    history: list[Message] = [
        {"role": "user", "content": "go", "created_at": ""},
        {"role": "block_assistant", "blocks": stored, "stop_reason": "tool_use", "created_at": ""},
        {
            "role": "tool_results",
            "results": [
                {"tool_use_id": stored[3]["data"]["id"], "content": "rain", "is_error": False},
                {"tool_use_id": stored[4]["data"]["id"], "content": "broken", "is_error": True},
            ],
            "created_at": "",
        },
    ]
    sent = body(ModelRequest(model="gemini-3.5-flash", messages=history))["contents"]
    ids = [stored[3]["data"]["id"], stored[4]["data"]["id"]]
    assert sent[1] == {
        "role": "model",
        "parts": [
            {"text": "I look."},
            {"text": "", "thoughtSignature": "dGV4dA=="},
            {
                "functionCall": {"id": ids[0], "name": "look", "args": {"city": "Oslo"}},
                "thoughtSignature": "Y2FsbA==",
            },
            {"functionCall": {"id": ids[1], "name": "look", "args": {"city": "Rome"}}},
        ],
    }
    assert [part["functionResponse"]["response"] for part in sent[2]["parts"]] == [
        {"output": "rain"},
        {"error": "broken"},
    ]


@pytest.mark.parametrize(("model", "signature"), [("gemini-3.5-flash", FOREIGN_SIGNATURE), ("gemini-2.5-pro", None)])
def test_a_call_that_another_model_made_gets_the_documented_placeholder(model: str, signature: str | None) -> None:
    history: list[Message] = [
        {"role": "user", "content": "go", "created_at": ""},
        {
            "role": "block_assistant",
            "blocks": [{"block_type": "tool_use", "data": {"id": "call_1", "name": "look", "args": {}}}],
            "stop_reason": "tool_use",
            "created_at": "",
        },
    ]
    parts = body(ModelRequest(model=model, messages=history))["contents"][1]["parts"]
    assert parts[0].get("thoughtSignature") == signature


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("STOP", "end_turn"), ("MAX_TOKENS", "max_tokens"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"),
     ("PROHIBITED_CONTENT", "content_filter"), ("SOMETHING_NEW", "end_turn")],
)  # fmt: skip
def test_finish_reasons_are_mapped_to_ours(theirs: str, ours: str) -> None:
    assert parse([response({"text": "a"}, finish=theirs)])[1].stop_reason == ours


def test_a_prompt_that_was_blocked_ends_as_filtered() -> None:
    shown, completed = parse([{"promptFeedback": {"blockReason": "SAFETY"}}])
    assert (shown, list(completed.blocks), completed.stop_reason) == ([], [], "content_filter")


def test_a_call_that_the_api_itself_declares_broken_is_malformed() -> None:
    with pytest.raises(Fault) as caught:
        parse([response(finish="MALFORMED_FUNCTION_CALL")])
    assert caught.value.kind == "malformed"


def test_an_answer_without_a_finish_reason_is_truncated() -> None:
    with pytest.raises(Fault) as caught:
        parse([response({"text": "a"})])
    assert caught.value.kind == "truncated"


def test_the_request_has_the_places_that_the_api_wants() -> None:
    request = ask(
        model="gemini-2.5-pro",
        system="Be brief.",
        max_tokens=5,
        extra={"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    )
    call = GeminiGenerate().build(request, api_key="k")
    assert call.path == "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    assert dict(call.headers) == {"x-goog-api-key": "k"}
    sent = json.loads(call.body)
    assert sent["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert sent["generationConfig"] == {"maxOutputTokens": 5, "thinkingConfig": {"includeThoughts": True}}


def test_a_models_name_cannot_leave_its_place_in_the_path() -> None:
    assert "/../" not in GeminiGenerate().build(ask(model="a/../b"), api_key=None).path


def test_an_output_format_is_a_schema_of_the_response() -> None:
    wanted = OutputFormat(name="age", schema={"type": "integer"}, strict=False)
    config = body(ModelRequest(model="m", messages=[], output_format=wanted))["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": {"type": "integer"}}
