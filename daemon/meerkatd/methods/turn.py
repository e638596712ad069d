"""Turns: start, interrupt, read; and following a turn to its end."""

from base64 import b64decode
from contextlib import aclosing
from typing import Any, cast

import trio

from ..agent.limits import Limits
from ..agent.schema_check import check_schema
from ..contract.base import Params
from ..contract.budget import BudgetLimits, amounts
from ..contract.message import ImageContent, TextContent
from ..contract.turn import (
    PromptBlock,
    PromptImage,
    PromptText,
    RunResult,
    TurnInfo,
    TurnInterrupt,
    TurnInterrupted,
    TurnRead,
    TurnStart,
)
from ..errors import InvalidParams, ShuttingDown
from ..ids import SessionId
from ..protocol.port import Call
from ..sessions.images import NewImage, PromptContent
from ..sessions.keys import digest_of
from ..sessions.request import AgentOptions, KeyedRequest
from ..sessions.turn import Turn
from .context import Context

_BEGINNINGS: dict[str, bytes | tuple[bytes, ...]] = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": (b"GIF87a", b"GIF89a"),
}
# Params that say nothing about what a request does, only how its caller wants to be told.
_NOT_IN_DIGEST = {"idempotency_key", "session_events"}


async def start(context: Context, params: TurnStart, call: Call) -> RunResult:
    await wait_or_refuse(context)
    await check_output_schema(params.output_schema)
    cancelled = keep_cancel(call)
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    turn = await sessions.start_turn(
        session_id,
        content_of(params.prompt),
        caller=context.caller(),
        options=AgentOptions(
            model=params.model,
            provider=params.provider,
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            provider_params=params.provider_params,
            additional_instructions=params.additional_instructions,
            output_schema=params.output_schema,
            structured_output_retries=params.structured_output_retries,
            tools=params.tools,
            most_tools=context.most_tools,
            turn_limits=limits_of(params.budget_limits),
            session_limits=limits_of(params.session_budget_limits),
        ),
        keyed=keyed("turn/start", params, session_id=session_id),
    )
    return await follow_to_end(context, call, session_id, turn, cancelled, events=params.session_events)


async def interrupt(context: Context, params: TurnInterrupt, call: Call) -> TurnInterrupted:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    turn = await sessions.interrupt(session_id, turn_id=params.turn_id, by=context.caller().holder)
    return {
        "session_id": session_id,
        "turn_id": turn.turn_id,
        "interrupted": turn.state == "interrupted",
        "result": "interrupted",
        "outcome": cast(Any, turn.state),
    }


async def read(context: Context, params: TurnRead, call: Call) -> TurnInfo:
    sessions = context.realm.sessions
    return await sessions.turn(await sessions.resolve(params.session_id), params.turn_id)


def keep_cancel(call: Call) -> trio.Event:
    """Let a `cancel` of a request that begins a turn wait until there is the turn to interrupt, which takes
    milliseconds. Broken off in the middle of the write, the request would be gone and its turn would run on."""
    cancelled = trio.Event()
    call.on_cancel = cancelled.set
    return cancelled


async def follow_to_end(
    context: Context, call: Call, session_id: SessionId, turn: Turn, cancelled: trio.Event, *, events: bool
) -> RunResult:
    """Wait for a turn, sending its events to this connection before its result.

    A `cancel` notification for the request interrupts the turn, and the reply tells what came of that. A connection
    that ends leaves the turn alone.

    Args:
        cancelled: what `keep_cancel` gave before the turn was begun.
    """
    call.on_cancel = lambda: turn.interrupt("cancelled by its caller")
    if cancelled.is_set():
        call.on_cancel()
    if events and not turn.done.is_set():
        async with context.realm.sessions.hold(session_id) as session:
            following = session.events.follow(turn.first_cursor, until=lambda: turn.last_cursor)
            async with aclosing(following):
                async for envelope in following:
                    if context.tells(envelope):
                        event = context.shown(envelope)
                        await context.peer.notify("session/event", {"session_id": session_id, "event": event})
    await turn.done.wait()
    return cast(RunResult, turn.outcome())


def limits_of(said: BudgetLimits | None) -> Limits | None:
    """Limits of a request; None when it says nothing of them."""
    return None if said is None else Limits(**amounts(said))


def content_of(prompt: str | list[PromptBlock]) -> PromptContent:
    """A prompt as sessions take it: one text is plain text.

    Raises:
        InvalidParams: an image that is none of its media type.
    """
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and isinstance(prompt[0], PromptText):
        return prompt[0].text
    return [_block(block, f"prompt.{index}") for index, block in enumerate(prompt)]


def _block(block: PromptText | PromptImage, path: str) -> TextContent | ImageContent | NewImage:
    if isinstance(block, PromptText):
        return {"type": "text", "text": block.text}
    if block.blob_id is not None:
        return {"type": "image", "media_type": block.media_type, "source": "blob", "blob_id": block.blob_id}
    try:
        data = b64decode(block.data or "", validate=True)
    except ValueError:
        raise InvalidParams(f"{path}.data: is not base64.", details={"field": f"{path}.data"}) from None
    if not _looks_like(data, block.media_type):
        raise InvalidParams(
            f"{path}.data: the bytes are no {block.media_type}.", details={"field": f"{path}.media_type"}
        )
    return NewImage(block.media_type, data)


def _looks_like(data: bytes, media_type: str) -> bool:
    """Whether the first bytes are those of the format: providers say little about what they refuse."""
    if media_type == "image/webp":
        return data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return data.startswith(_BEGINNINGS[media_type])


def keyed(method: str, params: Params, **resolved: Any) -> KeyedRequest | None:
    """The request's idempotency key, if it has one. `resolved` replaces references by what they named."""
    fields = params.model_dump(exclude_none=True)
    key = fields.get("idempotency_key")
    if key is None:
        return None
    meant = {name: value for name, value in fields.items() if name not in _NOT_IN_DIGEST}
    return KeyedRequest(key=key, method=method, digest=digest_of(method, {**meant, **resolved}))


async def check_output_schema(given: dict[str, Any] | None) -> None:
    """Refuse a schema that cannot be used, before anything is made. Raises InvalidParams with the path in it."""
    if given is not None:
        await check_schema(given)


async def wait_or_refuse(context: Context) -> None:
    """Begin no turn once the daemon is to leave.

    Before a restart the request is held until nothing is begun any more: then it may be sent again at once, and finds
    the next program. Refused earlier, it would come back again and again to this one.

    Raises:
        ShuttingDown: nothing was begun.
    """
    departure = context.services.departure
    if departure.is_restart:
        await departure.leaving()
    if departure.asked:
        raise ShuttingDown(
            "The daemon is leaving and takes no new turns.", details={"restarting": departure.is_restart}
        )
