"""Server-sent events (WHATWG HTML, 9.2): their text, and a response that sends them until somebody leaves."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

import trio
from starlette.responses import Response

from meerkat_client.errors import RkatError
from meerkat_client.wire.json_text import encode_json

from .answers import error_body

MEDIA_TYPE: Final = "text/event-stream"
# Proxies and clients give a silent connection up after half a minute or a minute.
HEARTBEAT_SECONDS: Final = 15.0
# How soon a client comes back whose connection was lost.
_RETRY_MILLISECONDS: Final = 1000
HEARTBEAT: Final = b": still here\n\n"
BEGINNING: Final = f"retry: {_RETRY_MILLISECONDS}\n".encode()

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def encode_event(kind: str, data: Any, *, event_id: int | None = None) -> bytes:
    """One event. JSON has no line's end outside of an escape, so `data` is one line."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {kind}\ndata: {encode_json(data)}\n\n".encode()


DONE: Final = encode_event("done", {})


class Source(Protocol):
    """Where a response's events come from."""

    async def chunk(self) -> bytes | None:
        """Some events; None when there are no more.

        Raises:
            RkatError: told to the client as an event `error`, which is the last.

        Cancellation: safe; nothing is consumed.
        """

    def close(self) -> None:
        """Nobody reads any more."""


class EventResponse(Response):
    """Sends what a source gives, and a heartbeat when that is nothing for a while.

    Args:
        closing: when it is set, the response ends without a last word, so that clients come back to whoever is next.
    """

    media_type = MEDIA_TYPE

    def __init__(self, source: Source, closing: trio.Event) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._source = source
        self._closing = closing

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_it_leaves, receive, nursery.cancel_scope)
                nursery.start_soon(self._until_closing, nursery.cancel_scope)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._send(send)
                nursery.cancel_scope.cancel()
        finally:
            self._source.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send) -> None:
        over = False
        while not over:
            chunk: bytes | None = HEARTBEAT
            with trio.move_on_after(HEARTBEAT_SECONDS):
                try:
                    chunk = await self._source.chunk()
                except RkatError as error:
                    chunk, over = encode_event("error", error_body(error)), True
            if chunk is None:
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _until_it_leaves(self, receive: Receive, scope: trio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _until_closing(self, scope: trio.CancelScope) -> None:
        await self._closing.wait()
        scope.cancel()
