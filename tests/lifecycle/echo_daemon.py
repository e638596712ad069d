"""A daemon with everything below the methods and a few methods of its own; for tests of process life and protocol.

Run as a program it takes the real daemon's arguments. Methods: `initialize`, `echo`, `pid`, `wait` (for ever, or until
cancelled), `hold` (answers when `release` comes, from any connection), `count` (that many notifications, then the
result), `ask` (asks the client `question`), `big` (a result of that many bytes), `close`.
"""

import functools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from meerkatd.lifecycle.departure import Departure
from meerkatd.lifecycle.endpoint import Endpoint
from meerkatd.lifecycle.idle import Idleness
from meerkatd.lifecycle.lock import EXIT_BUSY, AlreadyRunning, take_instance_lock
from meerkatd.lifecycle.logs import configure_logging
from meerkatd.lifecycle.process import detach, prepare_process
from meerkatd.lifecycle.ready import ReadyPipe
from meerkatd.lifecycle.serving import serve_until_left
from meerkatd.lifecycle.signals import watch_signals
from meerkatd.listener.unix import UnixListener
from meerkatd.protocol.envelope import refusal
from meerkatd.protocol.port import Call, ErrorObject, Peer
from meerkatd.settings import Settings, parse_settings

Handler = Callable[["EchoConversation", Call], Awaitable[Any]]


class EchoDispatcher:
    """Also a record of what happened, for tests that hold it."""

    def __init__(self) -> None:
        self.release = trio.Event()
        self.holding = 0
        self.waiting = trio.Event()
        self.cancelled: list[str] = []
        self.ended: list[str] = []

    def conversation(self, peer: Peer) -> "EchoConversation":
        return EchoConversation(self, peer)

    async def drained(self, departure: Departure) -> None:
        """Wait until nobody holds any more, up to the deadline, or until somebody hurries."""
        if not self.holding:
            return
        with trio.move_on_after(departure.deadline):
            async with trio.open_nursery() as waiting:

                async def hurried() -> None:
                    await departure.hurried()
                    waiting.cancel_scope.cancel()

                waiting.start_soon(hurried)
                await self.release.wait()
                waiting.cancel_scope.cancel()


class EchoConversation:
    def __init__(self, dispatcher: EchoDispatcher, peer: Peer) -> None:
        self.dispatcher = dispatcher
        self.peer = peer

    async def handle(self, call: Call) -> tuple[Any, ErrorObject | None]:
        handler = HANDLERS.get(call.method)
        if handler is None:
            return None, refusal("METHOD_NOT_FOUND", f"There is no method {call.method}.")
        return await handler(self, call), None

    def ended(self) -> None:
        self.dispatcher.ended.append(self.peer.name)


async def _echo(_: EchoConversation, call: Call) -> Any:
    return call.params


async def _pid(_: EchoConversation, __: Call) -> Any:
    return os.getpid()


async def _wait(conversation: EchoConversation, call: Call) -> Any:
    conversation.dispatcher.waiting.set()
    try:
        await trio.sleep_forever()
    finally:
        conversation.dispatcher.cancelled.append(str(call.id))


async def _hold(conversation: EchoConversation, _: Call) -> Any:
    conversation.dispatcher.holding += 1
    await conversation.peer.notify("holding", {})
    await conversation.dispatcher.release.wait()
    return "released"


async def _release(conversation: EchoConversation, _: Call) -> Any:
    conversation.dispatcher.release.set()


async def _count(conversation: EchoConversation, call: Call) -> Any:
    params = call.params or {}
    for number in range(params["to"]):
        await conversation.peer.notify("counted", {"number": number, "padding": "x" * params.get("padding", 0)})
    return params["to"]


async def _ask(conversation: EchoConversation, call: Call) -> Any:
    return await conversation.peer.request("question", call.params or {}, timeout=5)


async def _big(_: EchoConversation, call: Call) -> Any:
    return "x" * (call.params or {})["size"]


async def _close(conversation: EchoConversation, _: Call) -> Any:
    conversation.peer.close_after_reply()
    return "bye"


HANDLERS: dict[str, Handler] = {
    "initialize": _echo,
    "echo": _echo,
    "pid": _pid,
    "wait": _wait,
    "hold": _hold,
    "release": _release,
    "count": _count,
    "ask": _ask,
    "big": _big,
    "close": _close,
}


async def serve(settings: Settings, ready: ReadyPipe) -> int:
    """The composition: lock, logs, signals, socket, protocol."""
    try:
        lock = take_instance_lock(settings.places)
    except AlreadyRunning:
        ready.busy()
        return EXIT_BUSY
    with lock:
        configure_logging(settings.log_path, foreground=settings.foreground)
        dispatcher = EchoDispatcher()
        departure = Departure(deadline=settings.drain_seconds)
        async with trio.open_nursery() as nursery:
            await nursery.start(watch_signals, departure, nursery.cancel_scope.cancel)
            await serve_until_left(
                Endpoint(settings.places),
                UnixListener(dispatcher),
                departure=departure,
                ready=ready.ready,
                drained=functools.partial(dispatcher.drained, departure),
                lock=lock,
                idleness=Idleness(settings.idle_seconds, busy=lambda: dispatcher.holding > 0, rest=lambda: None),
            )
            nursery.cancel_scope.cancel()
    return 0


def main() -> int:
    if "--detach" in sys.argv:
        detach()
    prepare_process()
    settings = parse_settings(sys.argv[1:])
    return trio.run(functools.partial(serve, settings, ReadyPipe(settings.ready_fd)))


if __name__ == "__main__":
    sys.exit(main())
