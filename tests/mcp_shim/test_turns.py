"""Turns through the agents' door: progress, cancelling, and who else may start and stop them."""

import json

import trio
from tests.mcp_shim.agent_kit import AgentPlace, tool
from tests.rpc.rpc_kit import code
from tests.support.gated_model import Gate, GatedModel, ToolCall

PATIENCE = 60


async def reached(gate: Gate) -> None:
    await trio.to_thread.run_sync(gate.wait_until_reached)


async def test_progress_tells_text_and_tools_as_they_come(place: AgentPlace, model: GatedModel):
    told: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    gate = Gate()
    model.answers("Let me look. ", ToolCall("nothing", {}))
    model.answers("Well, ", gate, "there is ", "nothing.")
    with trio.fail_after(PATIENCE):
        async with place.agent() as agent, trio.open_nursery() as nursery:

            async def run() -> None:
                result = await agent.call_tool("meerkat_run", {"prompt": "look"}, progress_callback=hear)
                assert result.structured_content["text"].endswith("there is nothing.")

            nursery.start_soon(run)
            await reached(gate)
            gate.open()
    numbers = [number for number, _ in told]
    assert numbers == sorted(set(numbers))
    messages = [message for _, message in told if message is not None]
    assert messages[0].startswith("[session ")
    assert "[tool nothing is called]" in messages
    written = "".join(message for message in messages if not message.startswith("["))
    assert written == "Let me look. Well, there is nothing."


async def test_an_interrupt_from_another_process_ends_the_call_with_what_there_was(
    place: AgentPlace, model: GatedModel
):
    gate = Gate()
    model.answers("half", gate)
    with trio.fail_after(PATIENCE):
        async with place.agent("--realm", "shared") as one, place.agent("--realm", "shared") as two:
            results: list = []

            async def run() -> None:
                results.append(await one.call_tool("meerkat_run", {"prompt": "go"}))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                await reached(gate)
                busy = await two.call_tool("meerkat_resume", {"session_id": "last", "prompt": "me too"})
                assert busy.structured_content["code"] == "SESSION_BUSY"
                details = busy.structured_content["details"]
                assert (details["surface"], details["client"]) == ("mcp", "an-agent")
                stopped = await two.call_tool("meerkat_interrupt", {"session_id": "last"})
                assert stopped.structured_content["outcome"] == "interrupted"
            (result,) = results
            assert result.structured_content["code"] == "REQUEST_CANCELLED"
            assert result.structured_content["details"]["text"] == "half"
            idle = await two.call_tool("meerkat_interrupt", {"session_id": "last"})
            assert idle.structured_content["code"] == "SESSION_NOT_RUNNING"


async def test_cancelling_the_request_interrupts_the_turn_with_and_without_progress(
    place: AgentPlace, model: GatedModel
):
    async def hear(*_: object) -> None:
        await trio.lowlevel.checkpoint()

    with trio.fail_after(PATIENCE):
        async with place.agent() as agent:
            for callback in (None, hear):
                gate = Gate()
                model.answers("half", gate)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(agent.call_tool, "meerkat_run", {"prompt": "go"}, None, callback)
                    await reached(gate)
                    nursery.cancel_scope.cancel()
                # The interrupt is under way; its commit ends the turn.
                opened = await agent.call_tool(
                    "meerkat_event_stream_open", {"session_id": "last", "cursor": 0, "until": "turn_end"}
                )
                status = "event"
                while status == "event":
                    asked = {"stream_id": opened.structured_content["stream_id"], "no_timeout": True}
                    status = (await agent.call_tool("meerkat_event_stream_read", asked)).structured_content["status"]
                turn = await agent.call_tool("meerkat_turn", {"session_id": "last"})
                assert turn.structured_content["state"] == "interrupted"


def test_a_turn_goes_on_when_its_client_ends_or_dies(place: AgentPlace, model: GatedModel):
    other = place.rpc_client("left")
    for leave in ("end", "kill"):
        gate = Gate()
        model.answers("on ", gate, "and on")
        client = place.raw("--realm", "left")
        client.begin("tools/call", {"name": "meerkat_run", "arguments": {"prompt": "go"}})
        gate.wait_until_reached()
        if leave == "end":
            rest, status = client.end()
            assert status == 0
            answer = json.loads(rest.splitlines()[-1])["result"]["structuredContent"]
            assert answer["code"] == "DAEMON_UNAVAILABLE"
        else:
            client.kill()
        assert other.call("session/read", {"session_id": "last"})["is_active"] is True
        other.call("session/stream_open", {"session_id": "last", "until": "turn_end"})
        gate.open()
        other.notification("session/stream_end")
        assert other.call("session/read", {"session_id": "last"})["last_assistant_text"] == "on and on"


def test_a_turn_of_another_surface_is_busy_here_and_can_be_stopped_here(place: AgentPlace, model: GatedModel):
    gate = Gate()
    model.answers("half", gate)
    rpc, mine = place.rpc_client("both"), place.raw("--realm", "both")
    running = rpc.begin("session/create", {"prompt": "go"})
    gate.wait_until_reached()
    busy = tool(mine, "meerkat_resume", session_id="last", prompt="me too")
    assert (busy["code"], busy["details"]["surface"]) == ("SESSION_BUSY", "rpc")
    assert tool(mine, "meerkat_interrupt", session_id="last")["interrupted"] is True
    assert code(rpc.reply(running)) == "REQUEST_CANCELLED"


def test_taking_back_what_is_not_there_changes_nothing(place: AgentPlace):
    client = place.raw()
    for request_id in (99, "x", None, True, [], 1.5):
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}})
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled"})
    assert tool(client, "meerkat_sessions") == {"sessions": []}
