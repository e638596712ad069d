"""A provider whose answers a test writes, step by step, and which can be stopped at any of them.

A script is a list of answers, one for each call of the model; an answer is a list of steps: text to stream, a `Gate`
to wait at, an error to raise, and at the end a `Completed`, which is made up from the text when it is left out.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from meerkatd.agent.agents import AgentDefaults, ToolScope
from meerkatd.agent.credentials import Credentials
from meerkatd.agent.loop import ToolBox
from meerkatd.agent.models import Endpoint
from meerkatd.agent.port import (
    Completed,
    ModelEvent,
    ModelRequest,
    Provider,
    ProviderKind,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
)
from meerkatd.agent.tools.builtin import BuiltinTools
from meerkatd.agent.tools.builtin.shell import ShellSettings
from meerkatd.agent.tools.callback import CallbackTools
from meerkatd.agent.tools.levels import level_of
from meerkatd.agent.tools.mcp.pool import McpPool
from meerkatd.agent.tools.mcp.realm import RealmServers
from meerkatd.agent.tools.toolbox import DEFAULT_TIMEOUT_SECONDS, Toolbox
from meerkatd.contract.tool import ToolVerdict
from meerkatd.errors import MeerkatError


class Gate:
    """A place in an answer at which the model waits. `reached` tells the test, `open` lets the model go on."""

    def __init__(self) -> None:
        self.reached = trio.Event()
        self._open = trio.Event()

    def open(self) -> None:
        self._open.set()

    async def wait(self) -> None:
        self.reached.set()
        await self._open.wait()


Step = str | ReasoningDelta | Gate | Completed | MeerkatError | Exception


def tool_call(name: str, *, call_id: str = "call_1", **arguments: Any) -> Completed:
    """An answer that calls one tool."""
    return tool_calls((name, call_id, arguments))


def tool_calls(*calls: tuple[str, str, dict[str, Any]]) -> Completed:
    """An answer that calls several tools: (name, call id, arguments) each."""
    return Completed(
        blocks=[
            {"block_type": "tool_use", "data": {"id": call_id, "name": name, "args": arguments}}
            for name, call_id, arguments in calls
        ],
        stop_reason="tool_use",
        usage=TokenUsage(input_tokens=3, output_tokens=2),
    )


@dataclass
class ScriptedProvider:
    """`agent.port.Provider` that plays answers in order and keeps the requests it got."""

    script: list[Sequence[Step]] = field(default_factory=list)
    requests: list[ModelRequest] = field(default_factory=list)
    closed_streams: int = 0

    @property
    def kind(self) -> ProviderKind:
        return "self_hosted"

    def answers(self, *steps: Step) -> None:
        """Append one answer."""
        self.script.append(steps)

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        self.requests.append(request)
        events = self._play(self.script.pop(0))
        try:
            yield events
        finally:
            self.closed_streams += 1
            await events.aclose()

    async def _play(self, steps: Sequence[Step]) -> Any:
        texts = []
        for step in steps:
            await trio.lowlevel.checkpoint()
            match step:
                case str():
                    texts.append(step)
                    yield TextDelta(step)
                case Gate():
                    await step.wait()
                case Exception():
                    raise step
                case Completed():
                    yield step
                    return
                case _:
                    yield step
        yield Completed(
            blocks=[{"block_type": "text", "data": {"text": "".join(texts)}}],
            stop_reason="end_turn",
            usage=TokenUsage(input_tokens=7, output_tokens=len(texts)),
        )

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class ScriptedAgents:
    """`agent.agents.Agents` that leads every model to one scripted provider."""

    def __init__(self, provider: ScriptedProvider, tools: CallbackTools | None = None) -> None:
        self._provider = provider
        self._tools = tools if tools is not None else CallbackTools()
        self.refusal: MeerkatError | None = None
        self.policy: dict[str, ToolVerdict] = {}

    def toolbox(self, scope: ToolScope, endpoint: Endpoint) -> ToolBox:
        builtin = BuiltinTools(
            level_of(scope.level, workspace=scope.workspace, kind=endpoint.kind, most=scope.most),
            workspace=scope.workspace,
            tasks=scope.tasks,
            shell=ShellSettings,
            timeout=lambda name: DEFAULT_TIMEOUT_SECONDS,
        )
        return Toolbox([self._tools, builtin], policy=lambda: self.policy)

    @property
    def servers(self) -> RealmServers:
        return RealmServers(McpPool(), realm_id="r", configured=dict)

    def defaults(self) -> AgentDefaults:
        return AgentDefaults(generation=4)

    def choose(self, *, model: str | None, provider: str | None, credentials: Credentials) -> Endpoint:
        if self.refusal is not None:
            raise self.refusal
        name = model or "scripted-1"
        return Endpoint(
            kind="self_hosted",
            model=name,
            base_url="http://127.0.0.1:9",
            provider=provider or "scripted",
            full_name=name,
        )

    async def provider(self, endpoint: Endpoint) -> Provider:
        await trio.lowlevel.checkpoint()
        return self._provider
