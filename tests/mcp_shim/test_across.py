"""One turn per session across surfaces, each of them a client of one daemon."""

import os
import sys
import tempfile

import pytest
import trio
from tests.behaviours.mcp_door import open_mcp_door
from tests.behaviours.surfaces import Peer, Refused
from tests.rest.rest_kit import running_rest
from tests.support.house import running_house
from tests.support.scripted_provider import Gate

PATIENCE = 60


async def test_a_turn_started_over_http_is_busy_for_agents_and_stopped_on_the_command_line():
    with trio.fail_after(PATIENCE), tempfile.TemporaryDirectory(prefix="md-") as root:
        os.chmod(root, 0o700)
        async with (
            running_house(root) as house,
            running_rest(house, realm="r") as rest,
            open_mcp_door(house.settings.state_root) as door,
            trio.open_nursery() as nursery,
        ):
            agent = Peer(door, nursery)
            nursery.start_soon(agent.read)
            await agent.call("initialize", realm_id="r")
            gate = Gate()
            house.provider.answers("half", gate)
            replies = []

            async def post() -> None:
                replies.append(await rest.ask("POST", "/sessions", {"prompt": "go"}))

            async with trio.open_nursery() as turn:
                turn.start_soon(post)
                await gate.reached.wait()
                with pytest.raises(Refused) as busy:
                    await agent.call("turn/start", session_id="last", prompt="me too")
                assert (busy.value.code, busy.value.details["surface"]) == ("SESSION_BUSY", "rest")
                environ = {"PATH": os.environ["PATH"], "HOME": root, "MEERKAT_STATE_ROOT": house.settings.state_root}
                command = [sys.executable, "-m", "rkat", "--realm", "r", "sessions", "interrupt", "last"]
                stopped = await trio.run_process(
                    command, env=environ, capture_stdout=True, capture_stderr=True, check=False
                )
                assert stopped.returncode == 0, stopped.stderr
            (reply,) = replies
            assert (reply.status, reply.code) == (499, "REQUEST_CANCELLED")
            history = await agent.call("session/history", session_id="last")
            assert [each["role"] for each in history["messages"]] == ["user", "block_assistant", "system_notice"]
            nursery.cancel_scope.cancel()
