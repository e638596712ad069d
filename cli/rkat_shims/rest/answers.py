"""Results and errors as responses. The status of an error is its row's in the one error table."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from meerkat_client.errors import RkatError
from meerkat_client.wire.codes import row
from meerkat_client.wire.json_text import encode_json

JSON = "application/json"
REQUEST_ID_HEADER = "x-meerkat-request-id"
_ERROR_HEADERS: Mapping[str, Mapping[str, str]] = {"UNAUTHORIZED": {"www-authenticate": 'Bearer realm="meerkat"'}}


def result(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A result of the daemon's as it came."""
    return Response(encode_json(value), status_code=status, headers=dict(headers or {}), media_type=JSON)


def error_body(error: RkatError) -> dict[str, Any]:
    """An error as programs read it: `error` and `message` are the same sentence, the former as others call it."""
    details = {**error.details, "hint": error.hint, "retryable": error.retryable}
    return {"error": error.message, "code": error.code, "message": error.message, "details": details}


def refusal(error: RkatError, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """An error.

    Args:
        status: instead of the row's.
    """
    all_headers = {**_ERROR_HEADERS.get(error.code, {}), **(headers or {})}
    return Response(
        encode_json(error_body(error)),
        status_code=row(error.code).http if status is None else status,
        headers=all_headers,
        media_type=JSON,
    )
