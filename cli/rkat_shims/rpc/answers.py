"""Messages as lines of JSON, and the errors that are answered here rather than by the daemon."""

from typing import Any

from meerkat_client.errors import RkatError
from meerkat_client.wire.json_text import encode_json

# Within JSON's strings only, so they may be replaced anywhere. Node's readline and others take them for a line's end.
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def line(message: Any) -> bytes:
    """One message as a line, its end included."""
    text = encode_json(message)
    for character, escape in _LINE_ENDS.items():
        if character in text:
            text = text.replace(character, escape)
    return text.encode() + b"\n"


def error_line(call_id: int | str | None, error: RkatError) -> bytes:
    """The reply that says that a request failed, in the shape of the daemon's own; `call_id` None when unknown."""
    details = {"hint": error.hint, "retryable": error.retryable, **error.details}
    data = {"code": error.code, "message": error.message, "details": details}
    body = {"code": error.rpc_code, "message": error.message, "data": data}
    return line({"jsonrpc": "2.0", "id": call_id, "error": body})


def result_line(call_id: int | str, result: Any) -> bytes:
    """The reply with a result."""
    return line({"jsonrpc": "2.0", "id": call_id, "result": result})
