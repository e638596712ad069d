"""The body of a request: bounded in size and in time, then strict JSON.

Bodies of all requests together are bounded too: each is small against a frame's limit, and there may be many.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import trio

from meerkat_client.errors import RkatError, from_wire
from meerkat_client.wire.faults import MalformedFrame
from meerkat_client.wire.json_text import decode_json
from meerkat_client.wire.limits import (
    FRAME_PROGRESS_BYTES_PER_SECOND,
    FRAME_PROGRESS_SECONDS,
    MAX_REQUEST_FRAME,
    MIB,
)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# A frame's worth of text has at most six times its size as JSON (each character as \uXXXX), and two for white space.
MAX_BODY_BYTES: Final = 8 * MAX_REQUEST_FRAME
# Of all bodies that are being read; honest ones are done within milliseconds.
MAX_ALL_BODIES_BYTES: Final = 64 * MIB


class Disconnected(Exception):
    """The client is gone."""


class Bodies:
    """Reads bodies, and knows how much all of them hold."""

    def __init__(self) -> None:
        self.held = 0

    async def read_object(self, receive: Receive, *, content_type: str | None, length: str | None) -> dict[str, Any]:
        """The JSON object that a body is; an empty body is an empty one. Raises as `read`."""
        value = await self.read(receive, content_type=content_type, length=length, otherwise={})
        if not isinstance(value, dict):
            raise RkatError("INVALID_PARAMS", "The body must be one JSON object.")
        return value

    async def read(
        self, receive: Receive, *, content_type: str | None, length: str | None, otherwise: Any = None
    ) -> Any:
        """The JSON value that a body is.

        Args:
            otherwise: what an empty body stands for; None when there must be one.

        Raises:
            RkatError: INVALID_REQUEST, INVALID_PARAMS, REQUEST_TOO_LARGE, PARSE_ERROR, OVERLOADED.
            Disconnected: the client went away before the end.
        """
        if length is not None and length.isascii() and length.isdigit() and int(length) > MAX_BODY_BYTES:
            raise _too_large()
        with self._account() as more:
            text = await _read(receive, more)
            if not text.strip():
                if otherwise is None:
                    raise RkatError("INVALID_PARAMS", "The body is empty; it must be JSON.")
                return otherwise
            if (content_type or "").partition(";")[0].strip().lower() != "application/json":
                raise RkatError(
                    "INVALID_REQUEST",
                    "The body is not declared as JSON.",
                    hint="Send the header Content-Type: application/json.",
                )
            try:
                return decode_json(text)
            except MalformedFrame as error:
                raise from_wire(error) from error

    @contextmanager
    def _account(self) -> Any:
        mine = 0

        def more(count: int) -> None:
            nonlocal mine
            if self.held + count > MAX_ALL_BODIES_BYTES:
                raise RkatError("OVERLOADED", "Too many large bodies are being read at a time.")
            mine += count
            self.held += count
            if mine > MAX_BODY_BYTES:
                raise _too_large()

        try:
            yield more
        finally:
            self.held -= mine


async def _read(receive: Receive, more: Callable[[int], None]) -> bytes:
    text = bytearray()
    until = trio.current_time() + FRAME_PROGRESS_SECONDS
    while True:
        with trio.move_on_at(until + len(text) / FRAME_PROGRESS_BYTES_PER_SECOND) as scope:
            message = await receive()
        if scope.cancelled_caught:
            raise RkatError("INVALID_REQUEST", "The body did not arrive in time.", hint="Send it at once.")
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        more(len(part))
        text += part
        if not message.get("more_body", False):
            return bytes(text)


def _too_large() -> RkatError:
    return RkatError(
        "REQUEST_TOO_LARGE",
        f"The body has more than {MAX_BODY_BYTES} bytes.",
        details={"limit": MAX_BODY_BYTES},
    )
