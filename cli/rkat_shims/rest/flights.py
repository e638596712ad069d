"""Turns that requests of this server have begun and that are not over, by request id. No I/O.

A turn belongs to the daemon: a client that goes away leaves it alone, and so does the end of this process. What is kept
here is for `POST /requests/{request_id}/cancel`, and so that one id is not used for two requests at a time.
"""

from collections.abc import Callable
from typing import Any, Final

import trio

from meerkat_client.errors import RkatError

# Ids of ended requests that are remembered, so that a cancel that comes too late is told so.
_ENDED_REMEMBERED: Final = 1024
# The connection to the daemon carries a few more requests than this; nothing waits in a queue that nobody sees.
MAX_FLIGHTS: Final = 240


class Flight:
    """One turn's request.

    Attributes:
        over: set when there is an outcome.
    """

    def __init__(self) -> None:
        self.over = trio.Event()
        self._outcome: Any = None
        self._error: RkatError | None = None
        self._take_back: Callable[[], None] | None = None
        self._cancelled = False

    def begun(self, take_back: Callable[[], None]) -> None:
        """The daemon has been asked, perhaps once more; `take_back` tells it that the result is not wanted."""
        self._take_back = take_back
        if self._cancelled:
            take_back()

    def cancel(self) -> None:
        """Interrupt the turn; its outcome tells what came of that."""
        self._cancelled = True
        if self._take_back is not None:
            self._take_back()

    def end(self, outcome: Any, error: RkatError | None) -> None:
        self._outcome, self._error = outcome, error
        self.over.set()

    def outcome(self) -> Any:
        """What the turn gave.

        Raises:
            RkatError: why it gave nothing.
        """
        if self._error is not None:
            raise self._error
        return self._outcome


class Flights:
    """All of them."""

    def __init__(self) -> None:
        self._flying: dict[str, Flight] = {}
        self._ended: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._flying)

    def begin(self, request_id: str) -> Flight:
        """A new one.

        Raises:
            RkatError: DUPLICATE_INPUT, OVERLOADED.
        """
        if request_id in self._flying:
            raise RkatError(
                "DUPLICATE_INPUT",
                "A request with this id is in flight.",
                hint="Give each request an id of its own, or cancel the other one.",
                details={"request_id": request_id},
            )
        if len(self._flying) >= MAX_FLIGHTS:
            raise RkatError("OVERLOADED", f"{MAX_FLIGHTS} turns of this server are running.")
        flight = self._flying[request_id] = Flight()
        return flight

    def end(self, request_id: str) -> None:
        """Its turn is over."""
        del self._flying[request_id]
        self._ended[request_id] = None
        while len(self._ended) > _ENDED_REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def cancel(self, request_id: str) -> dict[str, Any]:
        """Interrupt the turn of a request.

        Raises:
            RkatError: NOT_FOUND.
        """
        flight = self._flying.get(request_id)
        if flight is not None:
            flight.cancel()
            return {"request_id": request_id, "cancelled": True}
        if request_id in self._ended:
            return {"request_id": request_id, "cancelled": False, "reason": "already_terminal"}
        raise RkatError(
            "NOT_FOUND",
            "No request of this server that runs a turn has this id.",
            hint="The id is in the header X-Meerkat-Request-Id of the request and of its response.",
            details={"request_id": request_id},
        )
