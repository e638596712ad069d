"""The provider port: what the agent's loop asks of any model, and the only shapes that cross it.

A provider turns one `ModelRequest` into a stream of `ModelEvent`s that ends with exactly one `Completed`. A stream that
ends without a finish reason is an error, never a short answer: `ProviderError` with kind "truncated".

Cancellation: leaving the `async with` block, however it is left, closes the provider's connection before it returns.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..contract.message import AssistantBlock, Message, StopReason, ToolUseBlock
from .images import Image

ProviderKind = Literal["anthropic", "openai", "gemini", "self_hosted", "local"]

FaultKind = Literal[
    "auth",
    "rate_limited",
    "overloaded",
    "server",
    "bad_request",
    "not_found",
    "connect",
    "timeout",
    "idle_timeout",
    "dropped",
    "truncated",
    "malformed",
]

MALFORMED_ARGS = "malformed_args"
"""Key of a tool call's `meta` that holds the text of arguments which are no JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one call, normalised: `input_tokens` includes what was read from or written to a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model sees it. `input_schema` is JSON Schema of an object."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """The provider's own way to be given a schema for the answer; only set where the provider has one."""

    name: str
    schema: Mapping[str, Any]
    strict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call of a model.

    Attributes:
        model: the provider's own name of the model, without any prefix.
        system: system prompt; None for none.
        messages: the transcript, oldest first, in the public shapes. `system_notice` rows are for people and reach the
            model as plain text; `system` rows are records of `system` and are left out. A transcript may end in `user`
            or `tool_results`.
        max_tokens: limit for this answer; None leaves it to the provider (Anthropic needs one: its adapter has it).
        output_format: what the answer has to be, for a provider that can be told.
        images: those that `messages` name and that are to be sent, by blob id.
        extra: provider parameters to merge into the request body as they are.
    """

    model: str
    messages: Sequence[Message]
    system: str | None = None
    tools: Sequence[ToolSpec] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    output_format: OutputFormat | None = None
    images: Mapping[str, Image] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """The call failed before anything was shown and will be tried again after `delay_ms`."""

    attempt: int
    max_attempts: int
    error: str
    delay_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The whole answer: `blocks` in order, with whatever signatures the provider wants to see again.

    A tool call whose arguments are no JSON object is here too, with empty `args`; `malformed_args` tells it apart.
    """

    blocks: Sequence[AssistantBlock]
    stop_reason: StopReason
    usage: TokenUsage


ModelEvent = TextDelta | ReasoningDelta | Retrying | Completed


class Provider(Protocol):
    """A configured way to a model: one kind, one base URL, one key. Safe for many calls at once."""

    @property
    def kind(self) -> ProviderKind: ...

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Call the model.

        Raises:
            ProviderError: after the retries are used up, or at once when retrying is of no use. `details` has
                `provider`, `model`, `kind` (a `FaultKind`), `attempts` and `status` where there is one.
            CapabilityUnavailable, ProviderNotConfigured: the local model cannot run as things are.
        """
        ...

    async def aclose(self) -> None: ...


def malformed_args(block: ToolUseBlock) -> str | None:
    """What the model wrote as the arguments of this call, when it was no JSON object; None for a proper call.

    Such a call must not be run: answer it with an error result that quotes the text, so that the model can mend it.
    """
    text = block["data"].get("meta", {}).get(MALFORMED_ARGS)
    return text if isinstance(text, str) else None
