"""Ways to the models: one wire format a file, one driver for all of them.

The formats speak HTTP themselves instead of through the official SDKs. Measured: importing those costs a fresh
daemon 1.2-4.2 s and up to 100 MiB before its first turn, the HTTP library under them 0.2 s and 15 MiB. What the SDKs
would do for us beside that - retries, error classes, taking an answer apart - is here, tested by one suite over all
formats.
"""

import logging
from typing import TYPE_CHECKING

import trio

from ...errors import CapabilityUnavailable
from ..models import Endpoint
from ..port import Provider
from .retry import RetryPolicy, Timeouts

if TYPE_CHECKING:
    from ..local_model import LocalModels
    from .wire import WireFormat

log = logging.getLogger(__name__)

__all__ = ["RetryPolicy", "Timeouts", "open_provider", "preload"]


async def preload() -> None:
    """Import the HTTP library and load the certificates in a thread, so that the first call does not block the loop.

    Certificates that cannot be loaded are no error here: whoever opens a provider that needs them is told.
    """
    await trio.to_thread.run_sync(_preload)


def _preload() -> None:
    from .http import tls_context

    try:
        tls_context()
    except OSError as error:
        log.warning("the certificates cannot be loaded: %s", error)


def open_provider(
    endpoint: Endpoint,
    *,
    retry: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
    local: "LocalModels | None" = None,
) -> Provider:
    """The provider behind `endpoint`. It keeps connections open between calls; `aclose` it when done.

    Args:
        local: the owner of local model servers; needed for endpoints of kind "local" only.

    Raises:
        CapabilityUnavailable: the endpoint is a local model, and this daemon runs none; or it needs certificates, and
            those of this machine cannot be loaded.
    """
    if endpoint.kind == "local":
        if local is None:
            raise CapabilityUnavailable("This daemon runs no local models.")
        return local.provider(endpoint, retry=retry, timeouts=timeouts)
    from .http import HttpProvider

    try:
        return HttpProvider(endpoint, _wire(endpoint), retry=retry, timeouts=timeouts)
    except OSError as error:
        raise CapabilityUnavailable(
            f"The certificates for {endpoint.full_name} cannot be loaded: {error.strerror}.",
            hint="Check SSL_CERT_FILE and SSL_CERT_DIR of the daemon's environment, then restart it.",
        ) from error


def _wire(endpoint: Endpoint) -> "WireFormat":
    match endpoint.kind:
        case "anthropic":
            from .anthropic import AnthropicMessages

            return AnthropicMessages()
        case "gemini":
            from .gemini import GeminiGenerate

            return GeminiGenerate()
    from .openai_chat import OpenAIChat

    return OpenAIChat(strict=endpoint.is_openai)
