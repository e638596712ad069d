"""Runs one connection: reads, hands requests to handlers, and writes what they answer.

One task reads and one writes; a request that has to wait has a task too, so replies may be out of order. A handler that
finishes without waiting runs in the reader's task, because starting a task costs more than many a method: when a
handler does wait, its task stops being the reader and a new reader is started (see `inline`).

When the connection ends, however that comes, its handlers are cancelled first and then the methods' side is told.

Doubt: EOF counts as the end of the connection, also from a client that only closed its sending half. Such a client
would never see its replies; none of ours does that.
"""

import logging
import math
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio

from meerkat_client.wire.faults import FrameTooLarge, NotEncodable
from meerkat_client.wire.limits import (
    FRAME_PROGRESS_BYTES_PER_SECOND,
    FRAME_PROGRESS_SECONDS,
    HANDSHAKE_SECONDS,
)

from .codec import Codec, Control, Incoming, Item, Malformed
from .connection import Answer, Begin, CancelCall, Connection, Refuse, State
from .envelope import error_reply, notification, refusal, request, result_reply
from .inline import run_inline
from .outbox import Outbox, Stalled
from .port import Call, Conversation, Dispatcher, ErrorObject, PeerGone, PeerRefused

logger = logging.getLogger(__name__)

# The last words of a connection that is being closed must not keep it open.
FAREWELL_SECONDS = 1.0


class _Question:
    """A request of ours that waits for the client's reply; `answer` stays None when the connection ends."""

    __slots__ = ("answer", "event")

    def __init__(self) -> None:
        self.event = trio.Event()
        self.answer: Answer | None = None


class ConnectionPump:
    """One connection; the methods' side knows it as `Peer`.

    Args:
        sock: connected, non-blocking; `serve` closes it.
        codec: what the door does to bytes.
        name: short and unique, for logs.
        pid: of the process at the other end, where the kernel tells.
        local: see `Peer.local`.
    """

    def __init__(
        self, sock: socket.socket, codec: Codec, *, name: str, pid: int | None = None, local: bool = True
    ) -> None:
        self._sock = sock
        self._codec = codec
        self._name = name
        self._pid = pid
        self._local = local
        self._state = Connection()
        self._outbox = Outbox(sock)
        self._items: deque[Item] = deque()
        self._scopes: dict[Call, trio.CancelScope] = {}
        self._questions: dict[str, _Question] = {}
        self._asked = 0
        self._finished = trio.lowlevel.ParkingLot()
        self._close_after: trio.lowlevel.Task | None = None
        self._initialize_by = math.inf
        self._frame_by = math.inf
        self._nursery: trio.Nursery | None = None

    def __repr__(self) -> str:
        return f"<ConnectionPump {self._name} {self._state!r} unsent={self._outbox.size}>"

    # Peer, as the methods see it

    @property
    def name(self) -> str:
        return self._name

    @property
    def pid(self) -> int | None:
        return self._pid

    @property
    def local(self) -> bool:
        return self._local

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """See `Peer.notify`. A checkpoint only while the outbox is full."""
        await self._outbox.send(self._codec.encode(notification(method, params)))

    async def request(self, method: str, params: dict[str, Any], *, timeout: float) -> Any:
        """See `Peer.request`."""
        self._asked += 1
        request_id = f"srv-{self._asked}"
        question = self._questions[request_id] = _Question()
        try:
            with trio.fail_after(timeout):
                await self._outbox.send(self._codec.encode(request(request_id, method, params)))
                await question.event.wait()
        except trio.TooSlowError:
            raise TimeoutError(f"the client did not answer {method} within {timeout:g} s") from None
        finally:
            self._questions.pop(request_id, None)
        if question.answer is None:
            raise PeerGone
        if question.answer.refused is not None:
            raise PeerRefused(question.answer.refused)
        return question.answer.result

    def start(self, task: Callable[[], Awaitable[None]], *, name: str) -> None:
        """See `Peer.start`.

        Raises:
            PeerGone: the connection has ended.
        """
        if self._nursery is None or self._state.state is State.CLOSED:
            raise PeerGone
        self._nursery.start_soon(self._background, task, name=f"{self._name} {name}")

    def close_after_reply(self) -> None:
        """See `Peer.close_after_reply`. To be called in the handler's own task."""
        self._close_after = trio.lowlevel.current_task()
        self._state.closing()

    # Running

    async def serve(self, dispatcher: Dispatcher, received: bytes = b"") -> None:
        """Run until the connection ends or this is cancelled; closes the socket.

        Args:
            received: what the door read before it knew the codec.
        """
        self._initialize_by = trio.current_time() + HANDSHAKE_SECONDS
        conversation = dispatcher.conversation(self)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._feed(received)
                nursery.start_soon(self._write, nursery, name=f"{self._name} writer")
                nursery.start_soon(self._read, nursery, conversation, name=f"{self._name} reader")
        finally:
            self._end()
            conversation.ended()

    @property
    def busy(self) -> bool:
        """Whether a call is in flight or something is unwritten."""
        return bool(self._state.calls or self._outbox.size)

    async def quiet(self) -> None:
        """Wait until no call is in flight and every reply is written, or the connection has ended."""
        while self._state.calls:
            await self._finished.park()
        try:
            await self._outbox.flushed()
        except PeerGone:
            return

    async def leave(self, reason: str) -> None:
        """Begin nothing any more, and say so: what has no reply when the connection ends was not carried out.

        Args:
            reason: for the client; `restart` promises that the same socket is served again at once.
        """
        if self._state.state is State.AWAITING_INITIALIZE and self._nursery is not None:
            # A client tries again when it hears nothing at all; a refusal would be its answer.
            self._nursery.cancel_scope.cancel()
        if self._state.state in (State.INITIALIZING, State.READY):
            self._state.leaving({"restarting": reason == "restart"})
            with suppress(PeerGone):
                await self.notify("daemon/leaving", {"reason": reason})

    def cancel_calls(self) -> None:
        """Break off whatever is still in flight; each call is answered with REQUEST_CANCELLED."""
        for scope in self._scopes.values():
            scope.cancel()

    def _end(self) -> None:
        farewell = self._codec.farewell()
        if farewell and not self._outbox.size:
            try:
                self._sock.send(farewell)
            except OSError:
                logger.debug("the peer left without a farewell", extra={"connection": self._name})
        self._state.closed()
        self._outbox.close()
        for question in self._questions.values():
            question.event.set()
        self._finished.unpark_all()
        self._sock.close()

    async def _write(self, nursery: trio.Nursery) -> None:
        try:
            await self._outbox.run()
        except PeerGone:
            logger.debug("the peer is gone", extra={"connection": self._name})
        except Stalled:
            logger.warning("closed: the peer stopped reading", extra={"connection": self._name, "pid": self._pid})
        nursery.cancel_scope.cancel()

    async def _background(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except PeerGone:
            return

    # Reading

    async def _read(self, nursery: trio.Nursery, conversation: Conversation) -> None:
        """Be the reader, until the connection ends or a handler in this task waits and another reader goes on."""
        still_reader = True

        def hand_over() -> None:
            nonlocal still_reader
            still_reader = False
            nursery.start_soon(self._read, nursery, conversation, name=f"{self._name} reader")

        try:
            while still_reader:
                while self._items and still_reader:
                    item = self._items.popleft()
                    if not isinstance(item, Incoming):
                        await self._answer_transport(item, nursery)
                        continue
                    call = await self._dispatch(item.message)
                    if call is not None:
                        await run_inline(self._carry_out(call, conversation, nursery), hand_over)
                if still_reader and not await self._receive():
                    nursery.cancel_scope.cancel()
                    return
        except PeerGone:
            nursery.cancel_scope.cancel()

    async def _receive(self) -> bool:
        """Wait for bytes and feed them; False when there will be none. Always a checkpoint."""
        waiting = self._state.state is State.AWAITING_INITIALIZE
        deadline = min(self._frame_by, self._initialize_by) if waiting else self._frame_by
        if deadline == math.inf:
            await trio.lowlevel.wait_readable(self._sock)
        else:
            with trio.CancelScope(deadline=deadline) as scope:
                await trio.lowlevel.wait_readable(self._sock)
            if scope.cancelled_caught:
                text = "No initialize came in time." if waiting else "A frame was begun and not finished in time."
                await self._last_words(error_reply(None, refusal("INVALID_REQUEST", text)))
                return False
        try:
            data = self._sock.recv(self._codec.chunk)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not data:
            return False
        self._feed(data)
        return True

    def _feed(self, data: bytes) -> None:
        items = self._codec.feed(data)
        self._items.extend(items)
        unfinished = self._codec.unfinished
        if not unfinished:
            self._frame_by = math.inf
        elif items or self._frame_by == math.inf:
            allowed = FRAME_PROGRESS_SECONDS + unfinished / FRAME_PROGRESS_BYTES_PER_SECOND
            self._frame_by = trio.current_time() + allowed

    async def _answer_transport(self, item: Malformed | Control, nursery: trio.Nursery) -> None:
        if isinstance(item, Control):
            if item.data:
                await self._outbox.send(item.data)
            if item.last:
                await self._last_words(None)
                nursery.cancel_scope.cancel()
            return
        reply = error_reply(None, refusal(item.code, item.message, item.details))
        if not item.fatal:
            await self._outbox.send(self._codec.encode(reply))
            return
        await self._last_words(reply)
        nursery.cancel_scope.cancel()

    async def _last_words(self, reply: dict[str, Any] | None) -> None:
        with trio.move_on_after(FAREWELL_SECONDS):
            last = b"" if reply is None else self._codec.encode(reply)
            await self._outbox.send(last + self._codec.farewell())
            await self._outbox.flushed()

    async def _dispatch(self, message: Any) -> Call | None:
        """Do what a message asks for; the call, if it is one to carry out."""
        action = self._state.receive(message)
        if isinstance(action, Begin):
            return action.call
        if isinstance(action, Refuse):
            await self._outbox.send(self._codec.encode(action.reply))
        elif isinstance(action, CancelCall):
            self._cancel(action.call)
        elif isinstance(action, Answer):
            question = self._questions.get(action.request_id)
            if question is not None and question.answer is None:
                question.answer = action
                question.event.set()
        return None

    # Calls

    def _cancel(self, call: Call) -> None:
        if call.on_cancel is not None:
            call.on_cancel()
        elif call in self._scopes:
            self._scopes[call].cancel()

    async def _carry_out(self, call: Call, conversation: Conversation, nursery: trio.Nursery) -> None:
        result: Any = None
        error: ErrorObject | None = refusal("REQUEST_CANCELLED", "The request was cancelled.")
        with trio.CancelScope() as scope:
            self._scopes[call] = scope
            try:
                result, error = await conversation.handle(call)
            finally:
                del self._scopes[call]
        try:
            await self._outbox.send(self._encode_reply(call, result, error))
        except PeerGone:
            return
        self._state.finish(call, error)
        self._finished.unpark_all()
        if self._close_after is not None and self._close_after is trio.lowlevel.current_task():
            await self._last_words(None)
            nursery.cancel_scope.cancel()

    def _encode_reply(self, call: Call, result: Any, error: ErrorObject | None) -> bytes:
        try:
            reply = result_reply(call.id, result) if error is None else error_reply(call.id, error)
            return self._codec.encode(reply)
        except FrameTooLarge as fault:
            hint = {"hint": "Ask for less at once, with a smaller limit.", **fault.details}
            error = refusal("REQUEST_TOO_LARGE", "The reply is larger than a frame may be.", hint)
        except NotEncodable:
            logger.exception("a reply cannot be encoded", extra={"method": call.method, "connection": self._name})
            error = refusal("INTERNAL_ERROR", "The reply cannot be sent; the log has the reason.")
        return self._codec.encode(error_reply(call.id, error))


async def serve_connection(pump: ConnectionPump, dispatcher: Dispatcher, received: bytes = b"") -> None:
    """`pump.serve` as a task among others: whatever goes wrong ends this connection only, and is logged."""
    try:
        await pump.serve(dispatcher, received)
    except Exception:
        logger.exception("a connection failed", extra={"connection": pump.name})
