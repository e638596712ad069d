"""Scenes that drive `rkat-rpc` by the stock SDK 0.5.2, which wants contract 0.5: `python scenes_052.py SCENE`.

It reads the events of a turn without an envelope, and those of a subscription with one.
"""

import asyncio
import sys
from typing import Any

from meerkat import MeerkatClient, MeerkatError, RunCompleted, RunStarted, TextDelta


async def refusal(wanted: Any) -> MeerkatError:
    """The error of something that must fail."""
    try:
        await wanted
    except MeerkatError as error:
        return error
    raise AssertionError("it was not refused")


async def turns(client: MeerkatClient) -> None:
    await client.connect(realm_id="old-turns", instance_id="one", realm_backend="sqlite")
    session = await client.create_session("first", labels={"team": "a"})
    assert session.text == "one"
    assert (await session.turn("second")).text == "two"
    assert [row.session_id for row in await client.list_sessions(labels={"team": "a"})] == [session.id]
    assert (await client.read_session(session.id)).last_assistant_text == "two"
    history = await session.history()
    assert [message.role for message in history.messages] == ["user", "block_assistant"] * 2
    await session.archive()
    assert await client.list_sessions() == []


async def stream(client: MeerkatClient) -> None:
    await client.connect(isolated=True)
    seen: list[Any] = []
    async with client.create_session_streaming("hello") as events:
        async for event in events:
            seen.append(event)
    assert isinstance(seen[0], RunStarted), seen
    assert seen[0].prompt == "hello"
    assert [event.delta for event in seen if isinstance(event, TextDelta)] == ["Once", " upon"]
    assert isinstance(seen[-1], RunCompleted), seen
    assert events.result.text == "Once upon"


async def interrupt(client: MeerkatClient) -> None:
    await client.connect()
    session = await client.create_session("hello")
    async with session.stream("tell me a long story") as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
        await session.interrupt()
        assert (await refusal(events.collect())).code == "REQUEST_CANCELLED"


async def tools(client: MeerkatClient) -> None:
    @client.tool("weather", description="The weather of a place", input_schema={"type": "object"})
    async def weather(arguments: dict[str, Any]) -> str:
        return f"rain in {arguments['place']}"

    await client.connect()
    session = await client.create_deferred_session("What is")
    result = await session.start_turn("the weather?")
    assert (result.text, result.tool_calls) == ("It rains.", 1)


async def config_and_subscription(client: MeerkatClient) -> None:
    await client.connect(realm_id="old-config")
    before = await client.get_config()
    after = await client.patch_config({"agent": {"temperature": 0.5}}, expected_generation=before["generation"])
    assert after["generation"] == before["generation"] + 1
    session = await client.create_session("hello")
    async with await session.subscribe_events() as subscription:
        turn = asyncio.ensure_future(session.turn("go"))
        async for envelope in subscription:
            assert envelope.source_id == f"session:{session.id}"
            if isinstance(envelope.payload, RunCompleted):
                break
        await turn


async def main(name: str) -> None:
    client = MeerkatClient()
    try:
        await globals()[name](client)
    finally:
        await asyncio.wait_for(client.close(), 10)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
