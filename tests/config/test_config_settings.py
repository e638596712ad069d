"""What turns get of the config: at each use, from the user's file and the realm's, and nothing while one is broken."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.config.config_bench import Cell, model
from tests.support.scripted_provider import ScriptedProvider, tool_call, tool_calls
from tests.support.unmetered import Unmetered

from meerkat_client.wire.paths import user_config_path
from meerkatd.agent.credentials import Credentials
from meerkatd.agent.loop import AgentRun, ToolOutcome
from meerkatd.agent.port import ModelRequest, ToolSpec
from meerkatd.agent.provider_pool import ProviderPool
from meerkatd.agent.realm_agents import AgentSettings, RealmAgents
from meerkatd.agent.tools.callback import CallbackTools
from meerkatd.agent.tools.mcp.pool import McpPool
from meerkatd.agent.tools.toolbox import Toolbox
from meerkatd.errors import AgentError, ConfigInvalid, MeerkatError, PermissionDenied, RealmDamaged
from meerkatd.realms.config.settings import MAX_PROMPT_BYTES, RealmSettings
from meerkatd.realms.config.user import UserConfig

NOBODY = Credentials()


class Place:
    """A realm's settings over a realm folder and a user's config file."""

    def __init__(self, root: Path) -> None:
        self.cell = Cell(root / "realm")
        self.user_path = root / "user.toml"
        self.settings = RealmSettings(self.cell, UserConfig(str(self.user_path)))
        self.agents = RealmAgents(
            ProviderPool(),
            McpPool(),
            CallbackTools(),
            realm_id="r",
            settings=self.settings.get,
            daemon_credentials=Credentials(),
        )

    def choose(self, name: str | None = None, credentials: Credentials = NOBODY) -> Any:
        return self.agents.choose(model=name, provider=None, credentials=credentials)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def key(text: str) -> dict[str, Any]:
    return {"providers": {"api_keys": {"openai": text}}}


async def test_without_any_config_there_are_only_defaults(place: Place):
    assert place.settings.get() == AgentSettings()


async def test_a_write_counts_at_the_next_use_with_its_generation(place: Place):
    for generation in (1, 2):
        await place.cell.set({"agent": {"system_prompt": f"prompt {generation}"}})
        defaults = place.agents.defaults()
        assert (defaults.generation, defaults.system_prompt) == (generation, f"prompt {generation}")


async def test_the_users_config_is_beneath_the_realms(place: Place):
    place.user_path.write_text('[agent]\nmodel = "gpt-5"\ntemperature = 1\n[providers.api_keys]\nopenai = "sk-user"\n')
    endpoint = place.choose()
    assert (endpoint.model, endpoint.api_key) == ("gpt-5", "sk-user")
    await place.cell.set({**model("gpt-6"), **key("sk-realm")})
    endpoint = place.choose()
    assert (endpoint.model, endpoint.api_key, place.agents.defaults().temperature) == ("gpt-6", "sk-realm", 1.0)


async def test_the_request_and_the_callers_environment_win_over_the_config(place: Place):
    await place.cell.set({**model("gpt-6"), **key("sk-realm")})
    endpoint = place.choose("gpt-7", Credentials.parse({"openai": {"api_key": "sk-caller"}}))
    assert (endpoint.model, endpoint.api_key) == ("gpt-7", "sk-caller")


async def test_a_key_of_the_environment_goes_to_the_base_url_of_the_config(place: Place):
    await place.cell.set({**model("gpt-6"), "providers": {"base_urls": {"openai": "http://127.0.0.1:1/v1"}}})
    endpoint = place.choose(None, Credentials.parse({"openai": {"api_key": "sk-caller"}}))
    assert (endpoint.base_url, endpoint.api_key) == ("http://127.0.0.1:1/v1", "sk-caller")


async def test_no_turn_begins_on_a_broken_config_and_running_ones_keep_the_last_good_one(place: Place):
    await place.cell.set({**model("gpt-6"), **key("sk-realm")})
    assert place.choose().model == "gpt-6"
    place.cell.edit("[agent]\nmodel = 5\n")
    for _ in range(2):
        with pytest.raises(ConfigInvalid) as caught:
            place.choose()
        assert caught.value.details["field"] == "agent.model"
    assert place.agents.defaults().generation == 1
    place.cell.edit('[agent]\nmodel = "gpt-7"\n[providers.api_keys]\nopenai = "x"\n')
    assert place.choose().model == "gpt-7"


async def test_a_broken_user_config_stops_turns_of_every_realm(place: Place):
    await place.cell.set({**model("gpt-6"), **key("sk-realm")})
    place.user_path.write_text("[agnt]\n")
    with pytest.raises(ConfigInvalid) as caught:
        place.choose()
    assert caught.value.details == {"path": str(place.user_path), "line": 1, "field": "agnt"}
    place.user_path.unlink()
    assert place.choose().model == "gpt-6"


async def test_a_config_that_cannot_be_read_stops_turns(place: Place, monkeypatch: pytest.MonkeyPatch):
    await place.cell.set({**model("gpt-6"), **key("sk-realm")})
    stat = os.stat

    def refuse(path: Any, **more: Any) -> os.stat_result:
        if str(path).endswith("config.toml"):
            raise PermissionError(13, "no", path)
        return stat(path, **more)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(PermissionDenied):
        place.choose()


async def test_a_damaged_state_stops_turns_of_that_realm(place: Place):
    await place.cell.set(key("sk-realm"))
    (place.cell.folder / "config_state.json").write_text("{")
    other = Place(place.cell.folder.parent)
    with pytest.raises(RealmDamaged):
        other.choose()


async def test_a_named_pipe_in_place_of_the_config_hangs_nobody(place: Place):
    """Measured: opening a pipe for reading waits for a writer, and would stop the whole event loop."""
    place.cell.folder.mkdir()
    os.mkfifo(place.cell.path)
    with pytest.raises(MeerkatError):
        place.choose()


async def test_a_system_prompt_comes_from_its_file_and_follows_it(place: Place, tmp_path: Path):
    prompt = tmp_path / "prompt.md"
    prompt.write_text("Be brief.")
    await place.cell.set({**key("x"), "agent": {"system_prompt_file": str(prompt)}})
    assert place.agents.defaults().system_prompt == "Be brief."
    prompt.write_text("Be bold!!")
    assert place.agents.defaults().system_prompt == "Be bold!!"


@pytest.mark.parametrize("content", [None, b"\xff", b"x" * (MAX_PROMPT_BYTES + 1), b"a\0b"])
async def test_a_prompt_file_that_cannot_be_used_stops_turns(place: Place, tmp_path: Path, content: bytes | None):
    prompt = tmp_path / "prompt.md"
    if content is not None:
        prompt.write_bytes(content)
    await place.cell.set({**key("x"), "agent": {"system_prompt_file": str(prompt)}})
    with pytest.raises(ConfigInvalid) as caught:
        place.choose()
    assert caught.value.details["path"] == str(prompt)


async def test_nothing_is_read_again_while_nothing_has_changed(place: Place, monkeypatch: pytest.MonkeyPatch):
    await place.cell.set(model("gpt-6"))
    # As if the last change were long ago, so that the stamps can be trusted.
    monkeypatch.setattr("meerkatd.realms.config.files._TICK_NS", -(10**18))
    first = place.settings.get()
    monkeypatch.setattr("meerkatd.realms.config.cell.ConfigFiles.read", lambda self: pytest.fail("it was read again"))
    assert place.settings.get() is first


def test_the_users_config_is_found_by_its_rule():
    assert user_config_path({"HOME": "/h"}) == "/h/.config/meerkat/config.toml"
    assert user_config_path({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == "/x/meerkat/config.toml"
    assert user_config_path({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}) == "/h/.config/meerkat/config.toml"
    assert user_config_path({"HOME": "/h", "MEERKAT_USER_CONFIG": "/u.toml"}) == "/u.toml"


# -- effects beyond the settings ----------------------------------------------------------------------------------


class OneTool:
    """A tool whose calls wait, and that knows how many of them do."""

    def __init__(self) -> None:
        self.running = self.most = 0

    def specs(self) -> list[ToolSpec]:
        return [ToolSpec(name="t", description="", input_schema={})]

    def timeout(self, name: str) -> float:
        return math.inf

    async def call(self, name: str, arguments: dict[str, Any], *, call_id: str) -> ToolOutcome:
        self.running += 1
        self.most = max(self.most, self.running)
        await trio.testing.wait_all_tasks_blocked()
        self.running -= 1
        return ToolOutcome(content="done")


class NoLedger:
    async def declared(self, calls: Any) -> None:
        await trio.lowlevel.checkpoint()

    async def started(self, call_id: str) -> None:
        await trio.lowlevel.checkpoint()

    async def ended(self, call_id: str, outcome: ToolOutcome) -> None:
        await trio.lowlevel.checkpoint()


def run_of(provider: Any, tools: Any, **limits: int) -> AgentRun:
    return AgentRun(
        provider=provider,
        request=ModelRequest(model="m", messages=[]),
        tools=Toolbox([tools]),
        ledger=NoLedger(),
        meter=Unmetered(),
        emit=lambda payload: None,
        now=lambda: "now",
        run_id="run",
        **limits,
    )


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_tools_of_one_answer_run_together_up_to_the_limit(limit: int):
    provider, tools = ScriptedProvider(), OneTool()
    provider.answers(tool_calls(*(("t", call_id, {}) for call_id in "abcde")))
    provider.answers("fine")
    with trio.fail_after(10):
        await run_of(provider, tools, max_concurrent_tools=limit).run()
    assert tools.most == limit


async def test_a_turn_calls_the_model_no_more_often_than_the_limit():
    provider = ScriptedProvider()
    for name in "abc":
        provider.answers(tool_call("t", call_id=name))
    run = run_of(provider, OneTool(), max_model_calls=2)
    with pytest.raises(AgentError):
        await run.run()
    assert run.model_calls == 2


async def test_a_callback_tool_is_given_as_long_as_the_config_says_right_now():
    given: list[float] = []
    limits = iter([7.0, 8.0])

    class Host:
        async def execute(self, call_id: str, name: str, arguments: Any, *, timeout: float) -> tuple[str, bool]:
            given.append(timeout)
            raise TimeoutError

    tools = CallbackTools(timeout=lambda name: next(limits))
    tools.register([ToolSpec(name="t", description="", input_schema={})], Host())
    outcomes = [await tools.call("t", {}, call_id="c") for _ in range(2)]
    assert given == [7.0, 8.0]
    assert [outcome.timed_out_ms for outcome in outcomes] == [7000, 8000]
