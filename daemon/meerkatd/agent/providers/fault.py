"""What can go wrong between us and a provider, and which of it is worth another try. No I/O.

A `Fault` is the one exception inside this package: the wire formats and the driver raise it, and the driver turns it
into another attempt or into a `ProviderError`. The text of a provider is data from outside: it is cut, stripped of
control characters and of the key before anybody sees it.
"""

import json
import re
from collections.abc import Mapping

from ..port import FaultKind

# Long enough for every message that providers were seen to send; a proxy's HTML page is of no use to anybody.
MAX_TEXT = 500

_RETRYABLE: frozenset[FaultKind] = frozenset(
    {"rate_limited", "overloaded", "server", "connect", "timeout", "idle_timeout", "dropped", "truncated"}
)

_KIND_BY_STATUS: dict[int, FaultKind] = {
    401: "auth",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "server",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}

# Codes of a 429 that waiting does not mend: the account is out of money, not out of breath.
_EXHAUSTED = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})

HINTS: dict[FaultKind, str] = {
    "auth": "Check the key of this provider: is it set, still valid, and allowed to use this model?",
    "rate_limited": "Wait a moment and go on with `rkat resume`; the account's limits are with the provider.",
    "overloaded": "Wait a moment and go on with `rkat resume`, or choose another --model.",
    "server": "Go on with `rkat resume`, or choose another --model.",
    "bad_request": "Mend what the provider's message names; `rkat config get` shows the parameters in use.",
    "not_found": "Check the model's name with `rkat models list`, and the base URL if you set one.",
    "connect": "Check the network, the base URL, and that the server is running.",
    "timeout": "Check the network, then go on with `rkat resume`.",
    "idle_timeout": "Go on with `rkat resume`; a slow server may need a longer stream_inactivity_timeout.",
    "dropped": "Check the network, then go on with `rkat resume`.",
    "truncated": "Go on with `rkat resume`; if it repeats, something between here and the provider cuts answers off.",
    "malformed": "Check the base URL: what answers there does not speak this provider's protocol.",
}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class Fault(Exception):
    """One failed attempt.

    Attributes:
        kind: what went wrong, in the words of the port.
        message: one sentence for people.
        status: HTTP status, where there was one.
        retryable: whether the same request may succeed a moment later.
        retry_after: seconds that the provider asked us to wait, if it did.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.message = message
        self.status = status
        self.retryable = kind in _RETRYABLE if retryable is None else retryable
        self.retry_after = retry_after


def kind_of_status(status: int) -> FaultKind:
    """The kind of an HTTP status that is not a success."""
    if status in _KIND_BY_STATUS:
        return _KIND_BY_STATUS[status]
    return "server" if status >= 500 else "bad_request"


def clean(text: str, *, secret: str | None = None) -> str:
    """`text` on one line, at most MAX_TEXT characters, without control characters, lone surrogates and `secret`."""
    if secret:
        text = text.replace(secret, "***")
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def status_fault(
    status: int,
    body: bytes,
    *,
    headers: Mapping[str, str],
    retry_after: float | None,
    secret: str | None,
) -> Fault:
    """The fault of an HTTP answer that is not a success; `headers` are looked up in lower case."""
    text, code = _error_text(body)
    kind = kind_of_status(status)
    retryable: bool | None = None
    if code in _EXHAUSTED or headers.get("x-should-retry") == "false":
        retryable = False
    elif headers.get("x-should-retry") == "true":
        retryable = True
    said = clean(text, secret=secret) or "it gave no reason"
    return Fault(
        kind,
        f"The provider answered with status {status}: {said}",
        status=status,
        retryable=retryable,
        retry_after=retry_after,
    )


def _error_text(body: bytes) -> tuple[str, str | None]:
    """Message and code out of the error shapes in use; the text itself when it is none of them."""
    text = body.decode("utf-8", errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        return text, None
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict) and isinstance(value.get("error"), (dict, str)):
        value = value["error"]
    if isinstance(value, str):
        return value, None
    if not isinstance(value, dict):
        return text, None
    code = next((value[key] for key in ("code", "type") if isinstance(value.get(key), str)), None)
    for key in ("message", "detail", "msg"):
        if isinstance(value.get(key), str):
            return value[key], code
    return text, code
