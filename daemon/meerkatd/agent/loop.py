"""The agent's loop: call the model, carry out the tools it asks for, call it again, until it has answered.

The loop knows no store and no session. What it has to write ahead goes to a `Ledger`, what it has to say goes to
`emit`, and what it has produced is in `output`, complete messages only, at any moment at which it may be cancelled.
`close_off` then turns what was under way into messages that say so, and a transcript that every provider accepts.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import trio

from ..contract.event import EventPayload
from ..contract.message import (
    AssistantBlock,
    AssistantMessage,
    Message,
    StopReason,
    ToolResult,
    ToolResultsMessage,
    ToolUseBlock,
    ToolUseData,
)
from ..contract.tool import ToolVerdict
from ..errors import AgentError, ProviderError
from .approval import DENIED_BY_POLICY, Approvals
from .context import Context
from .images import Image
from .meter import Meter, MeteredCall
from .port import (
    Completed,
    ModelRequest,
    Provider,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TokenUsage,
    ToolSpec,
    malformed_args,
)
from .structured import StructuredOutput

# A model that calls tools for ever has to end some time; the public contract's `max_turns` default is of this order.
MAX_MODEL_CALLS = 200
# Tool calls of one answer run together up to this many (the public default of `tools.max_concurrent`).
MAX_CONCURRENT_TOOLS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What a tool gave. `timed_out_ms` is set when it was stopped for taking too long."""

    content: str
    is_error: bool = False
    timed_out_ms: int | None = None


class ToolBox(Protocol):
    """The tools of a turn."""

    def verdict(self, name: str) -> ToolVerdict:
        """Whether the tool may run, must not, or a person has to be asked."""
        ...

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Held while the turn runs: what the tools need stays there."""
        ...

    async def refresh(self) -> None:
        """Before a call of the model: take in what has changed about the tools. Bounded, and no failure of the turn."""
        ...

    def specs(self) -> Sequence[ToolSpec]: ...

    async def call(self, name: str, arguments: dict[str, Any], *, call_id: str) -> ToolOutcome:
        """Carry out one call. Failing is an outcome, not an exception; cancellation stops the tool."""
        ...


class Ledger(Protocol):
    """Where tool calls are written before they run. Each method returns when the row is durable."""

    async def declared(self, calls: Sequence[ToolUseData]) -> None: ...

    async def started(self, call_id: str) -> None: ...

    async def ended(self, call_id: str, outcome: ToolOutcome) -> None: ...


@dataclass(slots=True, kw_only=True)
class AgentRun:
    """One turn of an agent.

    Args:
        request: the call as it is made, with the committed transcript and this turn's prompt as its messages.
        output: messages this turn has completed; `request.messages` must show them as they are added.
        meter: counts what is spent, and says when there is no more.
        emit: publishes an event; synchronous.
        now: wall clock as RFC 3339 text.
        boundary: awaited before each call of the model; gives messages that came from elsewhere meanwhile.
        context: what the model sees; compacted when it nears the model's window.
        approvals: who is asked about calls that the policy lets nobody make unasked; None when nobody can be.
        images: gives those that the next call shows, by blob id.
        structured: what the final answer has to be; None for any text.
    """

    provider: Provider
    request: ModelRequest
    tools: ToolBox
    ledger: Ledger
    meter: Meter
    emit: Callable[[EventPayload], Any]
    now: Callable[[], str]
    run_id: str
    boundary: Callable[[], Awaitable[Sequence[Message]]] | None = None
    context: Context | None = None
    approvals: Approvals | None = None
    images: Callable[[], Awaitable[Mapping[str, Image]]] | None = None
    structured: StructuredOutput | None = None
    output: list[Message] = field(default_factory=list)
    max_model_calls: int = MAX_MODEL_CALLS
    max_concurrent_tools: int = MAX_CONCURRENT_TOOLS
    usage: TokenUsage = field(default_factory=TokenUsage)
    model_calls: int = 0
    tool_calls: int = 0
    text: str = ""
    stop_reason: StopReason = "end_turn"
    _partial_text: list[str] = field(default_factory=list)
    _partial_reasoning: list[str] = field(default_factory=list)
    _pending: dict[str, ToolUseData] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)
    _results: dict[str, ToolResult] = field(default_factory=dict)

    async def run(self) -> None:
        """Run to the end of the turn.

        Raises:
            ProviderError: the model could not be reached or broke off; what was complete before is in `output`.
            AgentError: the model asked for tools more often than a turn may.
            StructuredOutputInvalid: the final answer does not fit, however often it was asked for.
            BudgetExhausted: the next step does not fit into what the turn may spend.
        """
        with self.meter.running():
            async with self.tools.opened():
                await self._run()

    async def _run(self) -> None:
        while True:
            if self.model_calls >= self.max_model_calls:
                raise AgentError(
                    f"The model asked for tools {self.max_model_calls} times in one turn without coming to an end.",
                    details={"model_calls": self.model_calls},
                )
            answer = await self._ask()
            calls = [block for block in answer["blocks"] if block["block_type"] == "tool_use"]
            if calls:
                self.meter.allow_tools(len(calls))
                await self._carry_out(calls)
            elif await self._is_final():
                return

    async def _is_final(self) -> bool:
        """Whether the answer is what it has to be; if not, what is wrong with it is said to the model."""
        if self.structured is None:
            return True
        wrong = await self.structured.review(self.text, self.stop_reason)
        if wrong is None:
            return True
        self.output.append(
            {
                "role": "user",
                "content": wrong,
                "created_at": self.now(),
                "run_id": self.run_id,
                "transcript_role": "injected_context",
                "source": "output_schema",
            }
        )
        return False

    async def _ask(self) -> AssistantMessage:
        if self.boundary is not None:
            self.output.extend(await self.boundary())
        await self.tools.refresh()
        if self.context is not None:
            await self.context.make_room(self.request, self.ask_aside)
        images = await self.images() if self.images is not None else {}
        request = replace(self.request, tools=self.tools.specs(), images=images)
        if self.structured is None:
            return await self._call(request)
        shaped = self.structured.shaped(request)
        try:
            return await self._call(shaped)
        except ProviderError as error:
            return await self._call(self.structured.unshaped(shaped, error), again=True)

    async def _call(self, request: ModelRequest, *, again: bool = False) -> AssistantMessage:
        """Call the model; `again` when it is the same step of the turn."""
        with self.meter.call(request) as call:
            if not again:
                self.model_calls += 1
                self.emit({"type": "turn_started", "turn_number": self.model_calls})
            completed = await self._stream(call)
            message = self._take(completed)
            call.completed(completed.usage, cut=completed.stop_reason == "max_tokens")
        return message

    async def ask_aside(self, request: ModelRequest) -> Completed:
        """A call of the model that is no part of the conversation: it costs, and nothing of it is shown."""
        completed: Completed | None = None
        with self.meter.call(request) as call:
            async with self.provider.stream(call.request) as events:
                async for event in events:
                    match event:
                        case TextDelta(text) | ReasoningDelta(text):
                            call.heard(text)
                        case Retrying():
                            self.emit(_retrying(event))
                        case Completed():
                            completed = event
            if completed is None:
                raise AgentError("The provider's adapter ended without an answer.")
            self.usage = _sum(self.usage, completed.usage)
            # A summary that is cut short by a budget is no failure of the turn.
            call.completed(completed.usage, cut=False)
        return completed

    async def _stream(self, call: MeteredCall) -> Completed:
        completed: Completed | None = None
        async with self.provider.stream(call.request) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        self._partial_text.append(text)
                        call.heard(text)
                        self.emit({"type": "text_delta", "delta": text})
                    case ReasoningDelta(text):
                        self._partial_reasoning.append(text)
                        call.heard(text)
                        self.emit({"type": "reasoning_delta", "delta": text})
                    case Retrying():
                        self.emit(_retrying(event))
                    case Completed():
                        completed = event
        if completed is None:
            raise AgentError("The provider's adapter ended without an answer.")
        return completed

    def _take(self, completed: Completed) -> AssistantMessage:
        """Make a complete answer part of the turn. No await: it is either all there or not at all."""
        self._partial_text.clear()
        self._partial_reasoning.clear()
        self.usage = _sum(self.usage, completed.usage)
        self.stop_reason = completed.stop_reason
        message: AssistantMessage = {
            "role": "block_assistant",
            "blocks": list(completed.blocks),
            "stop_reason": completed.stop_reason,
            "created_at": self.now(),
            "run_id": self.run_id,
        }
        self.output.append(message)
        if self.context is not None:
            self.context.answered(completed.usage)
        texts = []
        for block in completed.blocks:
            if block["block_type"] == "tool_use":
                call = block["data"]
                self._pending[call["id"]] = call
                self.tool_calls += 1
                self.emit({"type": "tool_call_requested", "id": call["id"], "name": call["name"], "args": call["args"]})
            elif block["block_type"] == "text":
                texts.append(block["data"]["text"])
            elif "text" in block["data"]:
                self.emit({"type": "reasoning_complete", "content": block["data"]["text"]})
        self.text = "".join(texts)
        if self.text:
            self.emit({"type": "text_complete", "content": self.text})
        self.emit(
            {"type": "turn_completed", "stop_reason": completed.stop_reason, "usage": wire_usage(completed.usage)}
        )
        return message

    async def _carry_out(self, blocks: Sequence[ToolUseBlock]) -> None:
        await self.ledger.declared([block["data"] for block in blocks])
        limiter = trio.CapacityLimiter(self.max_concurrent_tools)
        free: list[ToolUseData] = []
        async with trio.open_nursery() as nursery:
            for block in blocks:
                malformed = malformed_args(block)
                if malformed is not None:
                    self._note(block["data"], _not_json(malformed), duration_ms=0)
                elif self.tools.verdict(block["data"]["name"]) == "allow":
                    free.append(block["data"])
                else:
                    nursery.start_soon(self._when_allowed, block["data"], limiter, nursery)
            for call in free:
                await self._begin(call, limiter, nursery)
        self._settle_tools()

    async def _when_allowed(self, call: ToolUseData, limiter: trio.CapacityLimiter, nursery: trio.Nursery) -> None:
        """Run a call once a person has allowed it. While it waits it takes no room and no time of the turn's."""
        if self.approvals is None or self.tools.verdict(call["name"]) == "deny":
            refusal: str | None = DENIED_BY_POLICY
        else:
            with self.meter.waiting():
                refusal = await self.approvals.ask(call)
        if refusal is None:
            await self._begin(call, limiter, nursery)
        else:
            self._note(call, ToolOutcome(content=refusal, is_error=True), duration_ms=0)

    async def _begin(self, call: ToolUseData, limiter: trio.CapacityLimiter, nursery: trio.Nursery) -> None:
        """Run a call as soon as there is room. Calls begin in their order: one at a time is one after another."""
        room = object()
        await limiter.acquire_on_behalf_of(room)
        nursery.start_soon(self._carry_out_one, call, lambda: limiter.release_on_behalf_of(room))

    async def _carry_out_one(self, call: ToolUseData, release: Callable[[], None]) -> None:
        try:
            await self.ledger.started(call["id"])
            self._started.add(call["id"])
            self.emit({"type": "tool_execution_started", "id": call["id"], "name": call["name"]})
            begun = trio.current_time()
            outcome = await self.tools.call(call["name"], call["args"], call_id=call["id"])
            # From here on the tool has run, whatever happens: its outcome is noted before anything can be cancelled.
            self._note(call, outcome, duration_ms=round((trio.current_time() - begun) * 1000))
            with trio.CancelScope(shield=True):
                await self.ledger.ended(call["id"], outcome)
        finally:
            release()

    def _note(self, call: ToolUseData, outcome: ToolOutcome, *, duration_ms: int) -> None:
        self._results[call["id"]] = {
            "tool_use_id": call["id"],
            "content": outcome.content,
            "is_error": outcome.is_error,
        }
        content: list[dict[str, Any]] = [{"type": "text", "text": outcome.content}]
        if outcome.timed_out_ms is not None:
            self.emit(
                {
                    "type": "tool_execution_timed_out",
                    "id": call["id"],
                    "name": call["name"],
                    "timeout_ms": outcome.timed_out_ms,
                }
            )
        else:
            self.emit(
                {
                    "type": "tool_execution_completed",
                    "id": call["id"],
                    "name": call["name"],
                    "content": content,
                    "is_error": outcome.is_error,
                    "duration_ms": duration_ms,
                }
            )
        self.emit(
            {
                "type": "tool_result_received",
                "id": call["id"],
                "name": call["name"],
                "is_error": outcome.is_error,
                "content": content,
            }
        )

    def _settle_tools(self) -> None:
        """Turn the calls of the last answer into one `tool_results` message, in the order of the calls."""
        if not self._pending:
            return
        message: ToolResultsMessage = {
            "role": "tool_results",
            "results": [self._results.get(call_id) or self._unfinished(call_id) for call_id in self._pending],
            "created_at": self.now(),
            "run_id": self.run_id,
        }
        self.output.append(message)
        self._pending.clear()
        self._started.clear()
        self._results.clear()

    def _unfinished(self, call_id: str) -> ToolResult:
        word = "may have run" if call_id in self._started else "never ran"
        return {"tool_use_id": call_id, "content": f"The turn was stopped; this call {word}.", "is_error": True}

    def close_off(self) -> None:
        """After a cancellation or an error: keep what had arrived, marked, and leave no tool call without a result."""
        blocks: list[AssistantBlock] = []
        if self._partial_reasoning:
            blocks.append({"block_type": "reasoning", "data": {"text": "".join(self._partial_reasoning)}})
        if self._partial_text:
            self.text = "".join(self._partial_text)
            blocks.append({"block_type": "text", "data": {"text": self.text}})
        if blocks:
            self.stop_reason = "cancelled"
            message: AssistantMessage = {
                "role": "block_assistant",
                "blocks": blocks,
                "stop_reason": "cancelled",
                "created_at": self.now(),
                "run_id": self.run_id,
            }
            self.output.append(message)
        self._partial_reasoning.clear()
        self._partial_text.clear()
        self._settle_tools()


def _not_json(text: str) -> ToolOutcome:
    """The answer to a call that was not run because its arguments cannot be read: quoted, so that it can be mended."""
    return ToolOutcome(content=f"The arguments are not a JSON object, so the tool was not run: {text}", is_error=True)


def wire_usage(usage: TokenUsage) -> Any:
    """Usage in the public shape."""
    shape: dict[str, int] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cache_creation_tokens:
        shape["cache_creation_tokens"] = usage.cache_creation_tokens
    if usage.cache_read_tokens:
        shape["cache_read_tokens"] = usage.cache_read_tokens
    return shape


def _sum(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    return TokenUsage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cache_creation_tokens=one.cache_creation_tokens + other.cache_creation_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
    )


def _retrying(event: Retrying) -> EventPayload:
    return {
        "type": "retrying",
        "retry": {
            "plan": {
                "attempt": event.attempt,
                "max_retries": event.max_attempts,
                "selected_delay_ms": event.delay_ms,
            },
            "failure": {"message": event.error},
        },
    }
