"""JSON-RPC 2.0 envelopes as this daemon writes them, and its own refusals in them."""

from typing import Any

from meerkat_client.wire.codes import TABLE

from .port import ErrorObject


def refusal(code: str, message: str, details: dict[str, Any] | None = None) -> ErrorObject:
    """The error object of a refusal by the protocol itself."""
    row = TABLE[code]
    facts = {"hint": row.hint, "retryable": row.retryable, **(details or {})}
    return {"code": row.rpc, "message": message, "data": {"code": code, "message": message, "details": facts}}


def result_reply(call_id: int | str, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "result": result}


def error_reply(call_id: int | str | None, error: ErrorObject) -> dict[str, Any]:
    """`call_id` is None when the request's id could not be read."""
    return {"jsonrpc": "2.0", "id": call_id, "error": error}


def notification(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def request(call_id: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}
