"""Shapes of the transcript. One message is one row of history, exactly as the public contract spells it.

They are typed dictionaries and not classes: a message is built once by the agent, stored as JSON and shown as it is.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

StopReason = Literal[
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "content_filter",
    "cancelled",
    "refusal",
    "pause_turn",
    "context_window_exceeded",
]


class TextContent(TypedDict):
    type: Literal["text"]
    text: str


class ImageContent(TypedDict):
    """An image, by the blob that has its bytes; `blob/get` gives them."""

    type: Literal["image"]
    media_type: str
    source: Literal["blob"]
    blob_id: str


ContentBlock = TextContent | ImageContent
Content = str | list[ContentBlock]


class TextData(TypedDict):
    text: str
    meta: NotRequired[dict[str, Any]]


class ReasoningData(TypedDict):
    text: NotRequired[str]
    meta: NotRequired[dict[str, Any]]


class ToolUseData(TypedDict):
    id: str
    name: str
    args: dict[str, Any]
    meta: NotRequired[dict[str, Any]]


class TextBlock(TypedDict):
    block_type: Literal["text"]
    data: TextData


class ReasoningBlock(TypedDict):
    block_type: Literal["reasoning"]
    data: ReasoningData


class ToolUseBlock(TypedDict):
    block_type: Literal["tool_use"]
    data: ToolUseData


AssistantBlock = TextBlock | ReasoningBlock | ToolUseBlock


class SystemMessage(TypedDict):
    role: Literal["system"]
    content: str
    created_at: str


class ExternalEventBlock(TypedDict):
    """An event from outside, for programs; `body` of its notice says the same as text."""

    type: Literal["external_event"]
    event_type: str
    source: str
    payload: Any
    content: NotRequired[list[ContentBlock]]


class SystemNotice(TypedDict):
    """A word of the daemon's own in the transcript: a turn was interrupted or lost, something happened outside. The
    model sees `body` as text."""

    role: Literal["system_notice"]
    kind: Literal["generic", "external_event"]
    body: str
    created_at: str
    blocks: NotRequired[list[ExternalEventBlock]]


class UserMessage(TypedDict):
    """What the user's side says. `transcript_role` marks what was added without asking for an answer, and `source`
    says by whom."""

    role: Literal["user"]
    content: Content
    created_at: str
    run_id: NotRequired[str]
    transcript_role: NotRequired[Literal["injected_context", "compaction_summary"]]
    source: NotRequired[str]


class AssistantMessage(TypedDict):
    """`stop_reason` "cancelled" marks an answer that an interrupt cut off: what is here is all that had arrived."""

    role: Literal["block_assistant"]
    blocks: list[AssistantBlock]
    stop_reason: StopReason
    created_at: str
    run_id: NotRequired[str]


class ToolResult(TypedDict):
    tool_use_id: str
    content: Content
    is_error: bool


class ToolResultsMessage(TypedDict):
    role: Literal["tool_results"]
    results: list[ToolResult]
    created_at: str
    run_id: NotRequired[str]


# What comes into a transcript without a turn.
AddedMessage = UserMessage | SystemNotice
Message = SystemMessage | SystemNotice | UserMessage | AssistantMessage | ToolResultsMessage
