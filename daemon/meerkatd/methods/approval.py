"""Approvals: list, get, decide."""

from ..contract.approval import Approval, ApprovalDecide, ApprovalGet, ApprovalList, ApprovalPage
from ..protocol.port import Call
from .context import Context


async def list_approvals(context: Context, params: ApprovalList, call: Call) -> ApprovalPage:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id) if params.session_id is not None else None
    return {"approvals": await sessions.approvals.list(session_id=session_id, states=params.states, limit=params.limit)}


async def get(context: Context, params: ApprovalGet, call: Call) -> Approval:
    return await context.realm.sessions.approvals.get(params.approval_id)


async def decide(context: Context, params: ApprovalDecide, call: Call) -> Approval:
    return await context.realm.sessions.approvals.decide(
        params.approval_id, allow=params.decision == "allow", reason=params.reason, by=context.caller().holder
    )
