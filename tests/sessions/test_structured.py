"""Turns with an output schema: what fits is the result, what does not is asked for again, and all of it is kept."""

import json
from typing import Any

import pytest
from tests.sessions.conftest import Bench, keyed
from tests.support.scripted_provider import tool_call

from meerkatd.agent.port import Completed, TokenUsage
from meerkatd.agent.structured import value_of
from meerkatd.errors import MeerkatError, ProviderError
from meerkatd.sessions.request import AgentOptions

AGE = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


def wants(schema: dict[str, Any] = AGE, **more: Any) -> dict[str, Any]:
    return {"options": AgentOptions(output_schema=schema, **more)}


async def done(bench: Bench, **more: Any) -> tuple[str, Any]:
    session_id, turn = await bench.create(**more)
    assert turn is not None
    await turn.done.wait()
    return session_id, turn


async def test_an_answer_that_fits_is_the_structured_output(bench: Bench):
    bench.provider.answers('{"age": 4}')
    session_id, turn = await done(bench, **wants())
    assert turn.outcome()["structured_output"] == {"age": 4}
    assert turn.outcome()["turns"] == 1
    # The model was told the schema, and the provider in its own way.
    request = bench.provider.requests[0]
    assert json.dumps(AGE, separators=(",", ":")) in (request.system or "")
    assert request.output_format is not None
    assert request.output_format.schema == AGE
    # It holds for the turns to come, and a turn may have its own.
    bench.provider.answers("5")
    turn = await bench.start(session_id, **wants({"type": "integer"}))
    await turn.done.wait()
    assert turn.outcome()["structured_output"] == 5
    bench.provider.answers('{"age": 6}')
    turn = await bench.start(session_id)
    await turn.done.wait()
    assert turn.outcome()["structured_output"] == {"age": 6}
    assert (await bench.sessions.read(session_id))["output_schema"] == AGE


async def test_an_answer_that_does_not_fit_is_asked_for_again_with_the_places(bench: Bench):
    bench.provider.answers("I think four.")
    bench.provider.answers('{"age": "four"}')
    bench.provider.answers('```json\n{"age": 4}\n```')
    session_id, turn = await done(bench, **wants())
    assert turn.outcome()["structured_output"] == {"age": 4}
    assert turn.outcome()["turns"] == 3
    messages = await bench.history(session_id)
    assert [message["role"] for message in messages] == ["user", "block_assistant"] * 3
    assert [message.get("source") for message in messages[2::2]] == ["output_schema"] * 2
    assert "not JSON" in messages[2]["content"]
    assert "$.age" in messages[4]["content"]


async def test_after_the_last_attempt_the_turn_fails_and_what_was_produced_is_kept(bench: Bench):
    bench.provider.answers("one")
    bench.provider.answers('{"age": "x"}')
    session_id, turn = await done(bench, **wants(structured_output_retries=1))
    with pytest.raises(MeerkatError) as refused:
        turn.outcome()
    details = refused.value.details
    assert refused.value.code == "STRUCTURED_OUTPUT_INVALID"
    assert details["errors"] == [{"path": "$.age", "message": "'x' is not of type 'integer'"}]
    assert details["text"] == '{"age": "x"}'
    assert details["extraction_error"]["attempts"] == 2
    texts = [m["blocks"][0]["data"]["text"] for m in await bench.history(session_id) if m["role"] == "block_assistant"]
    assert texts == ["one", '{"age": "x"}']
    last = (await bench.sessions.read(session_id))["last_turn"]
    assert (last["state"], last["error"]["code"]) == ("failed", "STRUCTURED_OUTPUT_INVALID")


async def test_the_same_key_gives_the_structured_output_again(bench: Bench):
    bench.provider.answers('{"age": 4}')
    session_id, first = await done(bench, keyed=keyed("k"), **wants())
    again_id, again = await bench.create(keyed=keyed("k"), **wants())
    assert again is not None
    assert again_id == session_id
    assert json.dumps(again.outcome()) == json.dumps(first.outcome())


async def test_tools_run_before_the_answer_is_looked_at(bench: Bench):
    bench.provider.answers(tool_call("nothing"))
    bench.provider.answers('{"age": 4}')
    _, turn = await done(bench, **wants())
    assert turn.outcome()["structured_output"] == {"age": 4}
    assert turn.outcome()["tool_calls"] == 1


async def test_a_provider_that_refuses_the_format_is_asked_without_it(bench: Bench):
    refusal = ProviderError("json_schema is not supported", details={"kind": "bad_request"})
    bench.provider.answers(refusal)
    bench.provider.answers("no")
    bench.provider.answers('{"age": 4}')
    _, turn = await done(bench, **wants())
    result = turn.outcome()
    assert result["structured_output"] == {"age": 4}
    assert result["schema_warnings"] == [
        {"provider": "scripted", "path": "", "message": "json_schema is not supported"}
    ]
    assert [request.output_format is None for request in bench.provider.requests] == [False, True, True]


async def test_a_strict_format_that_is_refused_is_the_turns_error(bench: Bench):
    bench.provider.answers(ProviderError("no", details={"kind": "bad_request"}))
    _, turn = await done(bench, **wants({"schema": AGE, "compat": "strict"}))
    with pytest.raises(MeerkatError) as refused:
        turn.outcome()
    assert refused.value.code == "PROVIDER_ERROR"


async def test_a_model_that_refuses_is_not_asked_again(bench: Bench):
    bench.provider.answers(Completed(blocks=[], stop_reason="refusal", usage=TokenUsage()))
    _, turn = await done(bench, **wants())
    with pytest.raises(MeerkatError) as refused:
        turn.outcome()
    assert refused.value.code == "STRUCTURED_OUTPUT_INVALID"
    assert len(bench.provider.requests) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' {"a": 1}\n', {"a": 1}),
        ("```json\n[1]\n```", [1]),
        ("Here it is:\n```\nnull\n```\nDone.", None),
        ('{"code": "```py```"}', {"code": "```py```"}),
        ("```2```", 2),
    ],
)
def test_an_answer_may_be_fenced(text: str, value: Any):
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text", ["", "four", "{} {}", "NaN", "[" * 30 + "]" * 30, "9" * 400, "```json\n1", "[" * 90_000]
)
def test_an_answer_that_no_reader_takes_is_no_json(text: str):
    with pytest.raises(ValueError, match="the answer"):
        value_of(text)
