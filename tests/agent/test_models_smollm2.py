"""The real small model: it answers, streams and stops when it is told to. Fetch it with `rkat models pull smollm2`."""

from collections.abc import AsyncIterator, Sequence

import pytest
import trio

from meerkatd.agent.credentials import Credentials
from meerkatd.agent.local_model import LocalModels
from meerkatd.agent.models import Endpoint, ModelSettings, resolve
from meerkatd.agent.port import Completed, ModelRequest, TextDelta, ToolSpec
from meerkatd.agent.providers import open_provider

pytestmark = pytest.mark.local_model


@pytest.fixture
async def models() -> AsyncIterator[LocalModels]:
    owner = LocalModels()
    yield owner
    await owner.aclose()


@pytest.fixture
def smollm2() -> Endpoint:
    return resolve("local/smollm2", settings=ModelSettings(), credentials=Credentials())


LOOK = ToolSpec(name="look", description="Look at a file.", input_schema={"type": "object", "properties": {}})


def ask(text: str, tools: Sequence[ToolSpec] = ()) -> ModelRequest:
    return ModelRequest(
        tools=tools,
        model="smollm2",
        messages=[{"role": "user", "content": text, "created_at": ""}],
        system="You answer in one short sentence.",
        max_tokens=200,
        temperature=0.0,
    )


async def test_it_answers_in_pieces_with_usage(models: LocalModels, smollm2: Endpoint) -> None:
    provider = open_provider(smollm2, local=models)
    with trio.fail_after(60):
        async with provider.stream(ask("What is the capital of France?")) as events:
            got = [event async for event in events]
    await provider.aclose()
    last = got[-1]
    assert isinstance(last, Completed)
    assert "Paris" in str(last.blocks)
    assert len([event for event in got if isinstance(event, TextDelta)]) > 1
    assert last.usage.input_tokens > 10
    assert last.usage.output_tokens > 1


async def test_it_answers_when_tools_are_offered(models: LocalModels, smollm2: Endpoint) -> None:
    """Its template has no place for tools, so it never sees them: what counts is that the turn comes to an end."""
    provider = open_provider(smollm2, local=models)
    with trio.fail_after(60):
        async with provider.stream(ask("What is the capital of France?", tools=(LOOK,))) as events:
            last = [event async for event in events][-1]
    await provider.aclose()
    assert isinstance(last, Completed)
    assert last.stop_reason in ("end_turn", "max_tokens", "tool_use")


async def test_it_answers_again_at_once_after_a_cancelled_answer(models: LocalModels, smollm2: Endpoint) -> None:
    provider = open_provider(smollm2, local=models)
    with trio.fail_after(60):
        with trio.CancelScope() as scope:
            async with provider.stream(ask("Count from one to one thousand in words.")) as events:
                async for _ in events:
                    scope.cancel()
        assert scope.cancelled_caught
        async with provider.stream(ask("What is the capital of France?")) as events:
            got = [event async for event in events]
    await provider.aclose()
    assert isinstance(got[-1], Completed)
