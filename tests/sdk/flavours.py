"""One body of a test, played by the asynchronous client under asyncio and trio, and by the blocking one.

A body is written against the asynchronous client. For the blocking one each of its calls is made in a thread, so that
a body can have several clients that wait at a time; what the two clients call alike is thereby held to be alike.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread
from tests.support.gated_model import Gate, GatedModel

from meerkat_client import MeerkatClient, TextDelta, blocking

FLAVOURS = ("asyncio", "trio", "blocking")
MODEL = "openai/gpt-test"
# A test takes well below a second; what hangs is told as such.
HANG_SECONDS = 30

# Methods that are called without `await` on the asynchronous client too.
_PLAIN = frozenset(("session", "stream", "create_session_streaming", "has_capability", "require_capability", "note"))
_END = object()


class Awaited:
    """An object of the blocking client as the asynchronous one would be."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __repr__(self) -> str:
        return f"<Awaited {self.real!r}>"

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if name in _PLAIN or not callable(value):
            return _plain(value) if callable(value) else _wrapped(value)

        async def call(*args: Any, **options: Any) -> Any:
            return _wrapped(await to_thread.run_sync(functools.partial(value, *args, **options)))

        return call

    def tool(self, name: str, **about: Any) -> Any:
        def decorate(handler: Callable[[Any], Awaitable[Any]]) -> Any:
            self.real.tool(name, **about)(lambda arguments: from_thread.run(handler, arguments))
            return handler

        # What is wrong with the declaration is told at once, as by the real one.
        self.real._tools.declare(name, "", about.get("input_schema"))
        return decorate

    async def __aenter__(self) -> "Awaited":
        await to_thread.run_sync(self.real.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self.real.__exit__, *error)

    def __aiter__(self) -> "Awaited":
        return self

    async def __anext__(self) -> Any:
        item = await to_thread.run_sync(next, self.real, _END)
        if item is _END:
            raise StopAsyncIteration
        return item


def _plain(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **options: _wrapped(method(*args, **options))


_TWINS = (
    blocking.MeerkatClient,
    blocking.Session,
    blocking.DeferredSession,
    blocking.EventStream,
    blocking.EventSubscription,
)


def _wrapped(value: Any) -> Any:
    return Awaited(value) if isinstance(value, _TWINS) else value


def client_of(flavour: str, options: dict[str, Any]) -> Any:
    """A client that is not connected yet."""
    return Awaited(blocking.MeerkatClient(**options)) if flavour == "blocking" else MeerkatClient(**options)


class World:
    """What a body has: clients of one daemon, whose models are played by `model`."""

    def __init__(self, flavour: str, model: GatedModel, options: dict[str, Any]) -> None:
        self.flavour = flavour
        self.model = model
        self.options = options

    def client(self, **options: Any) -> Any:
        """A client that is not connected yet; of the test's own realm, unless its options say otherwise."""
        chosen = {**self.options, **options}
        if {"workspace", "isolated"} & set(options):
            del chosen["realm_id"]
        return client_of(self.flavour, chosen)

    async def create(self, client: Any, prompt: str = "hello", **options: Any) -> Any:
        """A session with one turn."""
        return await client.create_session(prompt, model=MODEL, **options)

    @asynccontextmanager
    async def running(self, start: Callable[[], Awaitable[Any]], *said: str) -> AsyncIterator["Running"]:
        """A turn in the middle of its answer, run by another task."""
        gate = Gate()
        self.model.answers(*said, gate, "end")
        running = Running(gate)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.run, start)
            try:
                await reached(gate)
                yield running
            finally:
                gate.open()


class Running:
    """A turn that waits at a gate, and how it ended: `result` or `error`."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.ended = anyio.Event()
        self.result: Any = None
        self.error: Any = None

    async def run(self, start: Callable[[], Awaitable[Any]]) -> None:
        try:
            self.result = await start()
        except Exception as error:
            self.error = error
        self.ended.set()


async def reached(gate: Gate) -> None:
    """Wait until the model is at this gate."""
    await to_thread.run_sync(gate.wait_until_reached)


async def said(client: Any, session_id: str, text: str) -> None:
    """Wait until the daemon has this text of a running answer: that the model has sent it is not enough."""
    async with await client.subscribe_session_events(session_id) as events:
        async for envelope in events:
            if isinstance(envelope.payload, TextDelta) and envelope.payload.delta == text:
                return


def played(*flavours: str) -> Callable[[Callable[[World], Awaitable[None]]], Any]:
    """Make a test of an asynchronous body: it takes a `World`. By default for every flavour."""

    def make(body: Callable[[World], Awaitable[None]]) -> Any:
        @pytest.mark.parametrize("flavour", flavours or FLAVOURS)
        def test(flavour: str, house: Any) -> None:
            run(flavour, body, World(flavour, house.model, house.options()))

        test.__name__, test.__doc__ = body.__name__, body.__doc__
        return test

    return make


def run(flavour: str, body: Callable[..., Awaitable[None]], *args: Any) -> None:
    """Run a body to its end, under the library that the flavour names."""

    async def main() -> None:
        with anyio.fail_after(HANG_SECONDS):
            await body(*args)

    anyio.run(main, backend="trio" if flavour == "trio" else "asyncio")


async def raised(kind: type[BaseException], awaitable: Awaitable[Any]) -> Any:
    """The exception of this kind that the awaitable ends with."""
    with pytest.raises(kind) as info:
        await awaitable
    return info.value
