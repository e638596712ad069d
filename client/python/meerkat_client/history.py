"""A session's transcript, as its history gives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionToolCall:
    """A call that the model asked for."""

    id: str
    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionToolResult:
    """What a call gave."""

    tool_use_id: str
    content: str
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAssistantBlock:
    """A part of an answer: `text`, `reasoning` or `tool_use`. `data` is its content as it came."""

    block_type: str
    data: Mapping[str, Any]

    @property
    def text(self) -> str | None:
        return self.data.get("text")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionExternalEvent:
    """Something that happened outside, as `send_external_event` told it."""

    event_type: str
    source: str
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMessage:
    """A message of the transcript. What does not belong to its role is None or empty.

    Attributes:
        role: system, system_notice, user, block_assistant or tool_results.
        created_at: RFC 3339.
        text: what it says, in one piece: of an answer its text blocks, of tool results their contents.
        run_id: the turn that it belongs to.
        transcript_role: `injected_context` for what was added without asking for an answer; `source` says by whom.
        stop_reason: `cancelled` marks an answer that an interrupt cut off.
        events: of a notice with `kind` `external_event`, what happened.
    """

    role: str
    created_at: str
    text: str
    run_id: str | None = None
    kind: str | None = None
    transcript_role: str | None = None
    source: str | None = None
    stop_reason: str | None = None
    blocks: tuple[SessionAssistantBlock, ...] = ()
    tool_calls: tuple[SessionToolCall, ...] = ()
    results: tuple[SessionToolResult, ...] = ()
    events: tuple[SessionExternalEvent, ...] = ()

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        blocks = tuple(
            SessionAssistantBlock(block_type=block["block_type"], data=block["data"])
            for block in wire.get("blocks") or ()
            if "block_type" in block
        )
        events = tuple(
            SessionExternalEvent(event_type=block["event_type"], source=block["source"], payload=block.get("payload"))
            for block in wire.get("blocks") or ()
            if block.get("type") == "external_event"
        )
        results = tuple(
            SessionToolResult(
                tool_use_id=result["tool_use_id"], content=text_of(result["content"]), is_error=result["is_error"]
            )
            for result in wire.get("results") or ()
        )
        said = [block.text or "" for block in blocks if block.block_type == "text"]
        said += [result.content for result in results]
        return cls(
            role=wire["role"],
            created_at=wire["created_at"],
            text=text_of(wire.get("content") or wire.get("body") or "".join(said)),
            run_id=wire.get("run_id"),
            kind=wire.get("kind"),
            transcript_role=wire.get("transcript_role"),
            source=wire.get("source"),
            stop_reason=wire.get("stop_reason"),
            blocks=blocks,
            tool_calls=tuple(
                SessionToolCall(id=block.data["id"], name=block.data["name"], args=block.data["args"])
                for block in blocks
                if block.block_type == "tool_use"
            ),
            results=results,
            events=events,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHistory:
    """A page of committed messages, oldest first. `has_more` says whether messages follow this page."""

    session_id: str
    session_ref: str
    message_count: int
    offset: int
    limit: int | None
    has_more: bool
    messages: tuple[SessionMessage, ...]

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        return cls(
            session_id=wire["session_id"],
            session_ref=wire["session_ref"],
            message_count=wire["message_count"],
            offset=wire["offset"],
            limit=wire.get("limit"),
            has_more=wire["has_more"],
            messages=tuple(SessionMessage.parse(message) for message in wire["messages"]),
        )


def text_of(content: Any) -> str:
    """Content as one text: it is text, or a list of text blocks."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content if isinstance(block, dict))
