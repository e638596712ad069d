"""Tools that the program of a client carries out."""

from typing import Any

import pytest
from tests.sdk.flavours import MODEL, World, played
from tests.support.gated_model import ToolCall

from meerkat_client import RequestError, ToolExecutionCompleted

SCHEMA = {"type": "object", "properties": {"item": {"type": "string"}}}


def stock(client: Any, **about: Any) -> list[Any]:
    """Declare the tool `stock`; the list has the arguments of its calls."""
    calls: list[Any] = []

    @client.tool("stock", description="Counts.", input_schema=SCHEMA, **about)
    async def count(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return "42"

    return calls


@played()
async def test_a_turn_calls_a_tool_of_the_client(world: World) -> None:
    client = world.client()
    calls = stock(client)
    async with client:
        world.model.answers(ToolCall("stock", {"item": "widget"}))
        session = await world.create(client)
        assert (session.text, session.tool_calls) == ("ok", 1)
        assert calls == [{"item": "widget"}]
        offered = world.model.requests[0]["tools"][0]["function"]
        assert (offered["name"], offered["description"], offered["parameters"]) == ("stock", "Counts.", SCHEMA)
        message = (await session.history()).messages[2]
        assert (message.role, message.text) == ("tool_results", "42")
        assert (await session.history()).messages[1].tool_calls[0].args == {"item": "widget"}


@played()
async def test_a_tool_works_while_a_stream_is_read(world: World) -> None:
    """The daemon asks over the client's own connection while the client reads that of the stream."""
    client = world.client()
    calls = stock(client)
    async with client:
        world.model.answers(ToolCall("stock", {"item": "x"}))
        stream = client.create_session_streaming("count", model=MODEL)
        done = [event async for event in stream if isinstance(event, ToolExecutionCompleted)]
        assert (done[0].text, done[0].is_error) == ("42", False)
        assert len(calls) == 1


@played()
async def test_a_tool_that_is_declared_later_is_offered_with_the_next_request(world: World) -> None:
    async with world.client() as client:
        session = await world.create(client)
        calls = stock(client)
        world.model.answers(ToolCall("stock", {}))
        await session.turn("count")
        assert calls == [{}]


@played()
async def test_what_a_tool_raises_is_told_to_the_model_and_the_turn_goes_on(world: World) -> None:
    client = world.client()

    @client.tool("broken")
    async def broken(_: dict[str, Any]) -> str:
        raise ValueError("out of stock")

    @client.tool("strange")
    async def strange(_: dict[str, Any]) -> Any:
        return 42

    async with client:
        world.model.answers(ToolCall("broken", {}, "c1"), ToolCall("strange", {}, "c2"))
        session = await world.create(client)
        assert session.text == "ok"
        results = {each.tool_use_id: each for each in (await session.history()).messages[2].results}
        assert results["c1"].is_error
        assert results["c1"].content == "out of stock"
        assert results["c2"].is_error


@played()
async def test_a_tool_may_use_the_client(world: World) -> None:
    client = world.client()

    if world.flavour == "blocking":

        def look(_: dict[str, Any]) -> str:
            return str(client.real.list_sessions()[0].title)

        client.real.tool("look")(look)
    else:

        @client.tool("look")
        async def look_later(_: dict[str, Any]) -> str:
            return str((await client.list_sessions())[0].title)

    async with client:
        world.model.answers(ToolCall("look", {}))
        session = await world.create(client, "the title")
        assert (await session.history()).messages[2].text == "the title"


@played()
async def test_a_tool_that_could_not_be_offered_is_refused_where_it_is_declared(world: World) -> None:
    client = world.client()
    for about in ({"name": "no spaces"}, {"name": "ok", "input_schema": {"x": object()}}):
        with pytest.raises(RequestError) as info:
            client.tool(**about)
        assert info.value.code == "INVALID_PARAMS"
