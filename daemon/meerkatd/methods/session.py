"""Sessions: create, list, read, history, archive, unarchive, fork, inject context, external events, label."""

import json
from typing import Any, cast

from ..contract.session import (
    ContextInjected,
    ExternalEventOutcome,
    SessionArchive,
    SessionArchived,
    SessionCompact,
    SessionCompacted,
    SessionCreate,
    SessionDeferred,
    SessionExternalEvent,
    SessionForkAt,
    SessionForked,
    SessionHistory,
    SessionHistoryParams,
    SessionInfo,
    SessionInjectContext,
    SessionLabel,
    SessionLabels,
    SessionList,
    SessionPage,
    SessionRead,
)
from ..contract.turn import RunResult
from ..errors import MeerkatError
from ..protocol.port import Call
from ..sessions.external_event import ExternalEvent, event_id
from ..sessions.request import AgentOptions
from .context import Context
from .turn import check_output_schema, content_of, follow_to_end, keep_cancel, keyed, limits_of, wait_or_refuse
from .workspace import workspace_of


async def create(context: Context, params: SessionCreate, call: Call) -> RunResult | SessionDeferred:
    await wait_or_refuse(context)
    await check_output_schema(params.output_schema)
    cancelled = keep_cancel(call)
    sessions = context.realm.sessions
    session_id, turn = await sessions.create(
        content_of(params.prompt),
        caller=context.caller(),
        options=AgentOptions(
            model=params.model,
            provider=params.provider,
            system_prompt=params.system_prompt,
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            provider_params=params.provider_params,
            additional_instructions=params.additional_instructions,
            output_schema=params.output_schema,
            structured_output_retries=params.structured_output_retries,
            tools=params.level,
            most_tools=context.most_tools,
            project_instructions=params.project_instructions,
            workspace=workspace_of(params.workspace) or context.workspace,
            turn_limits=limits_of(params.budget_limits),
            session_limits=limits_of(params.session_budget_limits),
        ),
        labels=dict(params.labels or {}),
        deferred=params.initial_turn == "deferred",
        keyed=keyed("session/create", params),
    )
    if turn is None:
        return {"session_id": session_id, "session_ref": f"{context.realm.realm_id}:{session_id}"}
    try:
        return await follow_to_end(context, call, session_id, turn, cancelled, events=params.session_events)
    except MeerkatError as error:
        raise error.with_details(session_id=session_id, session_created=True, resumable=True) from None


async def list_sessions(context: Context, params: SessionList, call: Call) -> SessionPage:
    page = await context.realm.sessions.list(
        offset=params.offset,
        limit=params.limit,
        include_archived=params.include_archived,
        labels=dict(params.labels or {}),
    )
    return {"sessions": page}


async def read(context: Context, params: SessionRead, call: Call) -> SessionInfo:
    sessions = context.realm.sessions
    return await sessions.read(await sessions.resolve(params.session_id))


async def history(context: Context, params: SessionHistoryParams, call: Call) -> SessionHistory:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    page = await sessions.history(session_id, offset=params.offset, limit=params.limit)
    offset = min(params.offset, page.total)
    messages: list[Any] = [json.loads(body) for body in page.bodies]
    return {
        "session_id": session_id,
        "session_ref": f"{context.realm.realm_id}:{session_id}",
        "message_count": page.total,
        "offset": offset,
        "limit": params.limit,
        "has_more": offset + len(messages) < page.total,
        "messages": messages,
    }


async def archive(context: Context, params: SessionArchive, call: Call) -> SessionArchived:
    return await _archive(context, params, archived=True)


async def unarchive(context: Context, params: SessionArchive, call: Call) -> SessionArchived:
    return await _archive(context, params, archived=False)


async def _archive(context: Context, params: SessionArchive, *, archived: bool) -> SessionArchived:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    method = "session/archive" if archived else "session/unarchive"
    row = await sessions.set_archived(session_id, archived, keyed=keyed(method, params))
    return {
        "session_id": row.session_id,
        "session_ref": f"{context.realm.realm_id}:{row.session_id}",
        # What this request made of it; after a repeated one it may be otherwise by now.
        "archived": archived,
    }


async def fork_at(context: Context, params: SessionForkAt, call: Call) -> SessionForked:
    sessions = context.realm.sessions
    source_id = await sessions.resolve(params.session_id)
    session_id = await sessions.fork(
        source_id,
        params.message_index,
        caller=context.caller(),
        keyed=keyed("session/fork_at", params, session_id=source_id),
    )
    return {
        "source_session_id": source_id,
        "session_id": session_id,
        "session_ref": f"{context.realm.realm_id}:{session_id}",
        "message_count": params.message_index,
        "cache_inheritance": {
            "status": "unavailable",
            "message_count": params.message_index,
            "reason": "no_authored_breakpoint_at_boundary",
        },
    }


async def compact(context: Context, params: SessionCompact, call: Call) -> SessionCompacted:
    cancelled = keep_cancel(call)
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    turn = await sessions.compact(
        session_id,
        params.recent_turns,
        caller=context.caller(),
        keyed=keyed("session/compact", params, session_id=session_id),
    )
    result = await follow_to_end(context, call, session_id, turn, cancelled, events=params.session_events)
    return cast(SessionCompacted, result)


async def inject_context(context: Context, params: SessionInjectContext, call: Call) -> ContextInjected:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    # The two spellings of one text are one request.
    request = keyed("session/inject_context", params, session_id=session_id, text=params.said, content=None)
    status = await sessions.inject(session_id, params.said, source=params.source, keyed=request)
    return {"session_id": session_id, "status": status}


async def external_event(context: Context, params: SessionExternalEvent, call: Call) -> ExternalEventOutcome:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    source = params.source or context.caller().holder["surface"]
    event = ExternalEvent(
        event_type=params.event_type,
        source=source,
        payload=params.payload,
        texts=[block.text for block in params.blocks or ()],
    )
    request = keyed("session/external_event", params, session_id=session_id, source=source)
    status = await sessions.add(session_id, event, keyed=request)
    name = event_id(session_id, params.idempotency_key)
    if status == "duplicate":
        return {"outcome_type": "deduplicated", "session_id": session_id, "existing_id": name, "status": status}
    return {"outcome_type": "accepted", "session_id": session_id, "input_id": name, "status": status}


async def label(context: Context, params: SessionLabel, call: Call) -> SessionLabels:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    row = await sessions.set_labels(session_id, dict(params.labels))
    return {"session_id": session_id, "labels": dict(row.labels)}
