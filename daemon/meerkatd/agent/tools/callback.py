"""Tools that connected clients carry out.

A realm has one set of them: a turn that calls a tool asks the connection that registered it, wherever the turn was
started from. A client that fails, takes too long or goes away is a tool error that the model sees; nothing hangs on it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..loop import ToolOutcome
from ..port import ToolSpec

# The public contract's timeout for callback tools.
CALLBACK_TIMEOUT_SECONDS = 120.0


class ToolHost(Protocol):
    """The connection behind a callback tool."""

    async def execute(self, call_id: str, name: str, arguments: dict[str, Any], *, timeout: float) -> tuple[str, bool]:
        """Returns (content, is_error).

        Raises:
            TimeoutError: no answer in time.
            ConnectionError: the client is gone.
            RuntimeError: the client refused; the text says why.
        """
        ...


class CallbackTools:
    """The callback tools of one realm; a `toolbox.ToolSource` for its turns.

    Args:
        timeout: seconds that a client may take for a call of the tool of that name; asked at each.
    """

    def __init__(self, *, timeout: Callable[[str], float] = lambda name: CALLBACK_TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._offers: dict[str, tuple[ToolSpec, ToolHost]] = {}

    def register(self, specs: Sequence[ToolSpec], host: ToolHost) -> None:
        """Offer tools; the same name replaces, whoever offered it before."""
        for spec in specs:
            self._offers[spec.name] = (spec, host)

    def withdraw(self, host: ToolHost) -> None:
        """The connection is gone, and with it every tool that it still offers."""
        self._offers = {name: offer for name, offer in self._offers.items() if offer[1] is not host}

    def specs(self) -> Sequence[ToolSpec]:
        return [spec for spec, _ in self._offers.values()]

    def timeout(self, name: str) -> float:
        return math.inf

    async def call(self, name: str, arguments: dict[str, Any], *, call_id: str) -> ToolOutcome:
        offer = self._offers.get(name)
        if offer is None:
            return ToolOutcome(content=f"There is no tool named {name!r} (any more).", is_error=True)
        timeout = self._timeout(name)
        try:
            content, is_error = await offer[1].execute(call_id, name, arguments, timeout=timeout)
        except TimeoutError:
            return ToolOutcome(
                content=f"The tool {name!r} did not answer within {timeout:g} seconds.",
                is_error=True,
                timed_out_ms=round(timeout * 1000),
            )
        except ConnectionError:
            return ToolOutcome(content=f"The client that offers the tool {name!r} has gone away.", is_error=True)
        except RuntimeError as error:
            return ToolOutcome(content=f"The tool {name!r} failed: {error}", is_error=True)
        return ToolOutcome(content=content, is_error=is_error)
