"""Whether a model's endpoint answers and takes the key: one GET of its list of models, which no provider charges for.

What counts is the answer itself. A server without such a list answers 404 and is reachable all the same; 401 and 403
mean that the key was refused; an answer of the network in between (502 to 504) that nobody stands behind it.
"""

import time
from dataclasses import dataclass

import trio

from .models import Endpoint
from .port import FaultKind
from .providers.retry import Timeouts

# A provider that takes longer to list its models is of no use for a turn either.
REACH_SECONDS = 5.0

_REFUSED = frozenset((401, 403))
_NOBODY_BEHIND = frozenset((502, 503, 504))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What came of the attempt. `fault` is None when the endpoint can be used; `milliseconds` is how long it took."""

    fault: FaultKind | None
    message: str
    milliseconds: int


async def reach(endpoint: Endpoint, *, seconds: float = REACH_SECONDS) -> Reach:
    """Ask an endpoint that is reached over HTTP for its models. Never raises but for a cancellation."""
    begun = time.monotonic()
    fault: FaultKind | None = "timeout"
    message = f"did not answer within {seconds:g} seconds"
    with trio.move_on_after(seconds):
        fault, message = await _ask(endpoint, seconds)
    return Reach(fault=fault, message=message, milliseconds=round((time.monotonic() - begun) * 1000))


async def _ask(endpoint: Endpoint, seconds: float) -> tuple[FaultKind | None, str]:
    # Imported here as everywhere: it costs 0.2 s and 15 MiB.
    import httpx2

    from .providers.http import new_client

    try:
        client = new_client(endpoint.base_url, Timeouts(idle=seconds, connect=seconds))
    except OSError as error:
        return "connect", f"cannot be called, for the certificates cannot be loaded ({error.strerror})"
    async with client:
        try:
            response = await client.get(endpoint.base_url + _path(endpoint), headers=_headers(endpoint))
        except httpx2.TimeoutException:
            return "timeout", f"did not answer within {seconds:g} seconds"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return "connect", f"cannot be reached ({type(error).__name__})"
    if response.status_code in _REFUSED:
        return "auth", f"refuses the key (HTTP {response.status_code})"
    if response.status_code in _NOBODY_BEHIND:
        return "overloaded", f"answers HTTP {response.status_code}: there is a gateway, and nothing behind it"
    return None, f"answers (HTTP {response.status_code})"


def _path(endpoint: Endpoint) -> str:
    return {"anthropic": "/v1/models", "gemini": "/v1beta/models"}.get(endpoint.kind, "/models")


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {"accept": "application/json"}
    if endpoint.kind == "anthropic":
        from .providers.anthropic import API_VERSION

        headers["anthropic-version"] = API_VERSION
    if endpoint.api_key:
        name = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(endpoint.kind)
        headers |= {name: endpoint.api_key} if name else {"authorization": f"Bearer {endpoint.api_key}"}
    return headers
