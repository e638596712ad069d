"""The tools of a turn from several sources: whose name it is, how long it may take, and what a failure looks like."""

import math

import pytest
import trio

from meerkatd.agent.loop import ToolOutcome
from meerkatd.agent.port import ToolSpec
from meerkatd.agent.tools.settings import ToolSettings
from meerkatd.agent.tools.toolbox import Toolbox
from meerkatd.errors import StorageFull


class Source:
    """Tools that say who they are, or do what they are named after."""

    def __init__(self, who: str, *names: str, seconds: float = math.inf) -> None:
        self.who = who
        self.names = names
        self.seconds = seconds

    def specs(self):
        return [ToolSpec(name=name, description=self.who, input_schema={"type": "object"}) for name in self.names]

    def timeout(self, name):
        return self.seconds

    async def call(self, name, arguments, *, call_id):
        match name:
            case "hang":
                await trio.sleep_forever()
            case "break":
                raise LookupError("of a kind that nobody expects: /home/someone/.secret")
            case "full":
                raise StorageFull("The disk is full.")
        return ToolOutcome(content=self.who)


async def call(box: Toolbox, name: str) -> ToolOutcome:
    return await box.call(name, {}, call_id="call_1")


async def test_a_name_belongs_to_the_first_source_that_has_it():
    box = Toolbox([Source("client", "a"), Source("builtin", "a", "b"), Source("server", "b", "c")])
    assert [(spec.name, spec.description) for spec in box.specs()] == [
        ("a", "client"),
        ("b", "builtin"),
        ("c", "server"),
    ]
    assert (await call(box, "b")).content == "builtin"


async def test_a_source_may_come_and_go_while_a_turn_runs():
    client = Source("client")
    box = Toolbox([client, Source("builtin", "a")])
    assert (await call(box, "a")).content == "builtin"
    client.names = ("a",)
    assert (await call(box, "a")).content == "client"


async def test_a_tool_that_hangs_is_stopped_after_its_time(autojump_clock):
    outcome = await call(Toolbox([Source("builtin", "hang", seconds=600)]), "hang")
    assert outcome.is_error
    assert outcome.timed_out_ms == 600_000
    assert trio.current_time() >= 600


@pytest.mark.parametrize(("name", "said"), [("break", "unexpectedly"), ("full", "The disk is full"), ("x", "no tool")])
async def test_a_failure_is_told_to_the_model_without_a_librarys_words(name, said):
    outcome = await call(Toolbox([Source("builtin", "break", "full")]), name)
    assert outcome.is_error
    assert said in outcome.content
    assert "secret" not in outcome.content


def test_a_tool_has_the_time_of_its_name_else_that_of_its_kind():
    settings = ToolSettings(callback_timeout=5, default_timeout=7, timeouts={"slow": 99})
    assert [settings.timeout_of(name) for name in ("slow", "other")] == [99, 7]
    assert [settings.callback_timeout_of(name) for name in ("slow", "other")] == [99, 5]
