"""MCP servers as tools: shared, started when wanted, told when they fail, started again, and never in a turn's way."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.support.processes import gone

from meerkatd.agent.tools.mcp import server as server_module
from meerkatd.agent.tools.mcp.pool import McpPool
from meerkatd.agent.tools.mcp.source import McpTools
from meerkatd.agent.tools.mcp.spec import ServerSpec, tool_name
from meerkatd.agent.tools.mcp.state import MAX_PAUSE_SECONDS, TRANSITIONS, pause_after
from meerkatd.agent.tools.toolbox import Toolbox

PROGRAM = str(Path(__file__).parents[2] / "support" / "mcp_server.py")
# Starting a Python and loading the SDK take a second or two.
PATIENCE = 30.0


def spec(*behaviours: str, name: str = "scripted", **more: Any) -> ServerSpec:
    return ServerSpec(name=name, command=sys.executable, args=(PROGRAM, *behaviours), **more)


@dataclass
class Bench:
    pool: McpPool
    folder: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def turn(self, *specs: ServerSpec) -> AsyncIterator["Turn"]:
        wanted = {each.name: each for each in specs}
        servers = McpTools(
            self.pool,
            realm_id="r",
            workspace=str(self.folder),
            wanted=lambda: wanted,
            timeout=lambda name: PATIENCE,
            emit=self.events.append,
        )
        box = Toolbox([], servers=servers)
        with trio.fail_after(PATIENCE):
            async with box.opened():
                await box.refresh()
                yield Turn(box, wanted)

    def told(self) -> list[tuple[str, str, str]]:
        return [tuple(event["payload"][key] for key in ("operation", "target", "status")) for event in self.events]


@dataclass
class Turn:
    box: Toolbox
    wanted: dict[str, ServerSpec]

    async def call(self, tool: str, **arguments: Any) -> tuple[str, bool]:
        outcome = await self.box.call(tool, arguments, call_id="call_1")
        return outcome.content, outcome.is_error

    def names(self) -> set[str]:
        return {each.name for each in self.box.specs()}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    pool = McpPool()
    async with pool.running():
        yield Bench(pool, tmp_path)


async def test_a_servers_tools_are_called_by_their_prefixed_names(bench: Bench):
    async with bench.turn(spec(env={"WHO": "me"})) as turn:
        assert {"mcp__scripted__echo", "mcp__scripted__die"} <= turn.names()
        assert await turn.call("mcp__scripted__echo", text="hello") == ("you said hello", False)
        text, _ = await turn.call("mcp__scripted__whoami")
        assert text.split()[1:] == ["me", str(bench.folder)]
        assert await turn.call("mcp__scripted__fail") == ("it cannot be done", True)
    assert bench.events == []


async def test_a_long_result_is_cut(bench: Bench):
    async with bench.turn(spec()) as turn:
        text, _ = await turn.call("mcp__scripted__book")
        assert len(text) < 110_000
        assert text.startswith("begin")
        assert text.endswith("end")


async def test_turns_share_one_process_and_another_config_has_its_own(bench: Bench):
    async with bench.turn(spec()) as one, bench.turn(spec()) as two, bench.turn(spec(env={"WHO": "other"})) as three:
        pids = [(await turn.call("mcp__scripted__whoami"))[0].split()[0] for turn in (one, two, three)]
    assert pids[0] == pids[1] != pids[2]


async def test_a_server_that_dies_in_a_call_is_told_and_started_again(bench: Bench):
    async with bench.turn(spec()) as turn:
        first = (await turn.call("mcp__scripted__whoami"))[0].split()[0]
        text, is_error = await turn.call("mcp__scripted__die")
        assert is_error
        assert "may have run" in text
        second = (await turn.call("mcp__scripted__whoami"))[0].split()[0]
        assert first != second


async def test_what_prints_to_stdout_is_no_harm(bench: Bench):
    async with bench.turn(spec("noise")) as turn:
        assert await turn.call("mcp__scripted__echo", text="x") == ("you said x", False)


async def test_a_server_that_cannot_start_is_told_once_without_its_secrets(bench: Bench):
    async with bench.turn(spec("crash", env={"WHO": "secret-key"})) as turn:
        assert turn.names() == set()
        await turn.box.refresh()
        ((operation, target, status),) = bench.told()
        assert (operation, target) == ("add", "scripted")
        assert status == "failed: Connection closed (the key *** is wrong)"


async def test_a_command_that_does_not_exist_is_told(bench: Bench):
    async with bench.turn(ServerSpec(name="none", command="/nowhere/at-all")) as turn:
        assert turn.names() == set()
    assert "No such file" in bench.told()[0][2]


async def test_a_server_that_hangs_holds_a_turn_up_for_its_time_and_no_longer(bench: Bench):
    async with bench.turn(spec("hang", startup_timeout=0.3), spec(name="fine")) as turn:
        assert "mcp__fine__echo" in turn.names()
        assert bench.told() == [("add", "scripted", "failed: it is not ready after 0.3 seconds")]
    began = trio.current_time()
    async with bench.turn(spec("hang", startup_timeout=0.3)):
        assert trio.current_time() - began < 0.2


async def test_a_call_that_hangs_can_be_cancelled_and_others_go_on(bench: Bench):
    async with bench.turn(spec()) as turn:
        with trio.move_on_after(0.2) as scope:
            await turn.call("mcp__scripted__hang")
        assert scope.cancelled_caught
        assert await turn.call("mcp__scripted__echo", text="x") == ("you said x", False)


async def test_new_tools_of_a_server_are_seen_in_the_same_turn(bench: Bench):
    async with bench.turn(spec()) as turn:
        await turn.call("mcp__scripted__grow")
        with trio.fail_after(PATIENCE):
            while "mcp__scripted__grown" not in turn.names():
                # The server tells, and is asked again, by messages of its own.
                await turn.call("mcp__scripted__echo")
        assert (await turn.call("mcp__scripted__grown"))[0] == "done"


async def test_servers_come_and_go_while_a_turn_runs(bench: Bench):
    async with bench.turn(spec()) as turn:
        turn.wanted["other"] = spec(name="other")
        await turn.box.refresh()
        assert "mcp__other__echo" in turn.names()
        del turn.wanted["scripted"]
        await turn.box.refresh()
        assert "mcp__scripted__echo" not in turn.names()
    assert bench.told() == [("add", "other", "applied"), ("remove", "scripted", "applied")]


async def test_a_server_that_is_not_wanted_any_more_ends_with_all_that_it_started(bench: Bench, monkeypatch):
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.05)
    born = bench.folder / "born"
    async with bench.turn(spec("child", "stubborn", f"born={born}")) as turn:
        await turn.call("mcp__scripted__echo")
        pids = [int(pid) for pid in born.read_text().split()]
        assert len(pids) == 2
    for pid in pids:
        await gone(pid)
    async with bench.turn(spec("child", f"born={born}")) as turn:
        assert (await turn.call("mcp__scripted__echo", text="x"))[0] == "you said x"


async def test_a_restart_waits_for_the_calls_under_way(bench: Bench):
    async with bench.turn(spec()) as turn:
        first = (await turn.call("mcp__scripted__whoami"))[0].split()[0]
        server = bench.pool.find(spec(), realm_id="r", workspace=str(bench.folder))
        assert server is not None
        server.restart()
        await turn.box.refresh()
        assert (await turn.call("mcp__scripted__whoami"))[0].split()[0] != first


async def test_the_end_of_the_pool_ends_every_process(tmp_path: Path):
    born = tmp_path / "born"
    pool = McpPool()
    async with pool.running():
        bench = Bench(pool, tmp_path)
        async with bench.turn(spec("child", "stubborn", f"born={born}")):
            pids = [int(pid) for pid in born.read_text().split()]
    for pid in pids:
        await gone(pid)


def test_names_are_what_providers_take_and_long_ones_stay_apart():
    assert tool_name("my.server", "read file") == "mcp__my_server__read_file"
    one, two = tool_name("s" * 40, "t" * 60 + "a"), tool_name("s" * 40, "t" * 60 + "b")
    assert len(one) == len(two) == 64
    assert one != two


def test_the_key_of_a_server_has_all_that_makes_it_another():
    base = spec()
    keys = {
        each.key(realm_id=realm, folder=folder)
        for each, realm, folder in (
            (base, "r", "/a"),
            (base, "q", "/a"),
            (base, "r", "/b"),
            (replace(base, args=("x",)), "r", "/a"),
            (replace(base, env={"A": "1"}), "r", "/a"),
        )
    }
    assert len(keys) == 5


def test_pauses_grow_and_the_table_leads_back_to_the_start():
    assert [pause_after(count) for count in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert pause_after(100) == MAX_PAUSE_SECONDS
    assert {state for (_, happening), state in TRANSITIONS.items() if happening == "let_go"} == {"stopped"}
