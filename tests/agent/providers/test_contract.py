"""The contract of every provider, over all wire formats, against a real server in a process of its own."""

from dataclasses import replace

import pytest
from tests.agent.providers.dialects import ANTHROPIC, OPENAI, Dialect
from tests.agent.providers.provider_kit import AT_ONCE, ModelServer, ask, collect, completed

from meerkatd.agent.port import ModelEvent, Retrying, TextDelta, ToolSpec, malformed_args
from meerkatd.agent.providers import RetryPolicy, Timeouts, open_provider
from meerkatd.contract.message import Message
from meerkatd.errors import ProviderError

WEATHER = ToolSpec(
    name="get_weather",
    description="Weather of a city",
    input_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CALLS = [
    {"name": "get_weather", "arguments": {"city": "Oslo"}},
    {"name": "get_weather", "arguments": {"city": "Zürich 🌧"}},
]


async def call(
    server: ModelServer,
    dialect: Dialect,
    *,
    retry: RetryPolicy = AT_ONCE,
    timeouts: Timeouts | None = None,
    tools: tuple[ToolSpec, ...] = (),
) -> list[ModelEvent]:
    provider = open_provider(dialect.endpoint(server.url, mounted=True), retry=retry, timeouts=timeouts)
    return await collect(provider, ask(model=dialect.model, tools=tools))


async def test_text_arrives_in_pieces_and_completes_with_usage(model_server: ModelServer, dialect: Dialect) -> None:
    model_server.script({"type": "reply", "text": "The sky is blue today."})
    events = await call(model_server, dialect)
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(pieces) > 1
    assert "".join(pieces) == "The sky is blue today."
    last = completed(events)
    assert list(last.blocks) == [{"block_type": "text", "data": {"text": "The sky is blue today."}}]
    assert last.stop_reason == "end_turn"
    assert last.usage.input_tokens > 0
    assert last.usage.output_tokens > 0


async def test_parallel_tool_calls_arrive_whole_and_with_ids_of_their_own(
    model_server: ModelServer, dialect: Dialect
) -> None:
    model_server.script({"type": "reply", "tool_calls": CALLS})
    last = completed(await call(model_server, dialect, tools=(WEATHER,)))
    calls = [block["data"] for block in last.blocks if block["block_type"] == "tool_use"]
    assert [(made["name"], made["args"]) for made in calls] == [(c["name"], c["arguments"]) for c in CALLS]
    assert len({made["id"] for made in calls} - {""}) == 2
    assert last.stop_reason == "tool_use"


async def test_tool_results_are_accepted_and_answered_with_text(model_server: ModelServer, dialect: Dialect) -> None:
    model_server.script({"type": "reply", "tool_calls": CALLS[:1]}, {"type": "reply", "text": "Rain."})
    first = completed(await call(model_server, dialect, tools=(WEATHER,)))
    used = next(block["data"] for block in first.blocks if block["block_type"] == "tool_use")
    provider = open_provider(dialect.endpoint(model_server.url, mounted=True), retry=AT_ONCE)
    prompt = ask(model=dialect.model, tools=(WEATHER,))
    history: list[Message] = [
        *prompt.messages,
        {"role": "block_assistant", "blocks": list(first.blocks), "stop_reason": "tool_use", "created_at": ""},
        {
            "role": "tool_results",
            "results": [{"tool_use_id": used["id"], "content": "rain", "is_error": False}],
            "created_at": "",
        },
    ]
    events = await collect(provider, replace(prompt, messages=history))
    assert list(completed(events).blocks) == [{"block_type": "text", "data": {"text": "Rain."}}]


# Gemini carries arguments as an object, which cannot be broken.
@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=lambda dialect: dialect.kind)
async def test_broken_tool_arguments_are_marked_and_not_run_as_empty(
    model_server: ModelServer, dialect: Dialect
) -> None:
    """Measured: the official SDKs hand on the broken text or an exception of the JSON library."""
    model_server.script(
        {"type": "reply", "tool_calls": CALLS[:1]}, {"type": "tool_fault", "kind": "malformed_arguments"}
    )
    last = completed(await call(model_server, dialect, tools=(WEATHER,)))
    block = last.blocks[0]
    assert block["block_type"] == "tool_use"
    assert block["data"]["args"] == {}
    assert malformed_args(block)


async def test_a_limited_answer_says_so(model_server: ModelServer, dialect: Dialect) -> None:
    model_server.script({"type": "reply", "text": "Half of", "finish_reason": "length"})
    assert completed(await call(model_server, dialect)).stop_reason == "max_tokens"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_a_passing_failure_is_tried_again_and_told(
    model_server: ModelServer, dialect: Dialect, status: int
) -> None:
    model_server.script(
        {"type": "fail", "status": status, "retry_after": 0, "times": 2}, {"type": "reply", "text": "ok"}
    )
    events = await call(model_server, dialect)
    retries = [event for event in events if isinstance(event, Retrying)]
    assert [(event.attempt, event.max_attempts) for event in retries] == [(1, 4), (2, 4)]
    assert completed(events).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "bad_request"), (401, "auth"), (403, "auth"), (404, "not_found"), (422, "bad_request")]
)
async def test_a_lasting_failure_is_told_at_once(
    model_server: ModelServer, dialect: Dialect, status: int, kind: str
) -> None:
    model_server.script({"type": "fail", "status": status, "message": "That is not how it is done", "times": None})
    with pytest.raises(ProviderError) as caught:
        await call(model_server, dialect)
    assert caught.value.details == {
        "provider": dialect.kind,
        "model": dialect.model,
        "kind": kind,
        "attempts": 1,
        "status": status,
    }
    assert "That is not how it is done" in caught.value.message
    assert len(model_server.requests()) == 1


async def test_a_provider_that_stays_down_is_given_up_after_four_attempts(
    model_server: ModelServer, dialect: Dialect
) -> None:
    model_server.script({"type": "fail", "status": 500, "times": None})
    with pytest.raises(ProviderError) as caught:
        await call(model_server, dialect)
    assert (caught.value.details["kind"], caught.value.details["attempts"]) == ("server", 4)
    assert len(model_server.requests()) == 4


@pytest.mark.parametrize(
    ("fault", "kind"), [("truncate", "truncated"), ("disconnect", "dropped"), ("malformed", "malformed")]
)
async def test_a_stream_that_breaks_after_something_was_shown_is_an_error(
    model_server: ModelServer, dialect: Dialect, fault: str, kind: str
) -> None:
    """Measured: the official SDKs accept a stream without a finish reason as a full answer."""
    model_server.script(
        {"type": "reply", "text": "one two three four five six"},
        {"type": "stream_fault", "kind": fault, "after_chunks": 4, "times": None},
    )
    with pytest.raises(ProviderError) as caught:
        await call(model_server, dialect)
    assert caught.value.details["kind"] == kind
    assert len(model_server.requests()) == 1


@pytest.mark.parametrize("fault", ["truncate", "disconnect"])
async def test_a_stream_that_breaks_before_anything_was_shown_is_tried_again(
    model_server: ModelServer, dialect: Dialect, fault: str
) -> None:
    model_server.script(
        {"type": "stream_fault", "kind": fault, "after_chunks": 0}, {"type": "reply", "text": "ok", "times": None}
    )
    events = await call(model_server, dialect)
    assert isinstance(events[0], Retrying)
    assert completed(events).stop_reason == "end_turn"


async def test_a_stalled_stream_ends_with_the_idle_limit(model_server: ModelServer, dialect: Dialect) -> None:
    model_server.script(
        {"type": "reply", "text": "one two three four five six"},
        {"type": "stream_fault", "kind": "stall", "after_chunks": 4, "stall_seconds": 5},
    )
    with pytest.raises(ProviderError) as caught:
        await call(model_server, dialect, timeouts=Timeouts(idle=0.2))
    assert caught.value.details["kind"] == "idle_timeout"


async def test_an_independent_judge_finds_nothing_to_say_about_our_retries(
    model_server: ModelServer, dialect: Dialect
) -> None:
    model_server.script(
        {"type": "fail", "status": 429, "retry_after": 0.1},
        {"type": "fail", "status": 503},
        {"type": "reply", "text": "ok"},
    )
    await call(model_server, dialect, retry=RetryPolicy(initial_delay=0.05))
    assert model_server.verdict()["findings"] == []
