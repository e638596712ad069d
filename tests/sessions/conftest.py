"""Sessions over each storage backend and a scripted provider: no socket, no waiting."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from tests.support.scripted_provider import ScriptedAgents, ScriptedProvider

from meerkatd.agent.credentials import Credentials
from meerkatd.agent.tools.callback import CallbackTools
from meerkatd.contract.message import Message
from meerkatd.sessions.request import AgentOptions, Caller, KeyedRequest
from meerkatd.sessions.sessions import Sessions
from meerkatd.sessions.turn import Turn
from meerkatd.store import backend
from meerkatd.store.api import RealmStore

CALLER = Caller(holder={"surface": "cli", "client": "test", "pid": 7}, credentials=Credentials())
OTHER = Caller(holder={"surface": "rpc", "client": "other"}, credentials=Credentials())


@dataclass
class Bench:
    """A realm's sessions with everything a test wants to reach."""

    sessions: Sessions
    store: RealmStore
    provider: ScriptedProvider
    agents: ScriptedAgents
    tools: CallbackTools
    nursery: trio.Nursery

    async def create(self, prompt: str = "hello", **more) -> tuple[str, Turn | None]:
        arguments = {"caller": CALLER, "options": AgentOptions(), "labels": {}, "deferred": False, **more}
        return await self.sessions.create(prompt, **arguments)

    async def start(self, session_id: str, prompt: str = "go on", **more) -> Turn:
        arguments = {"caller": CALLER, "options": AgentOptions(), **more}
        return await self.sessions.start_turn(session_id, prompt, **arguments)

    async def created(self, answer: str = "hi") -> str:
        """A session whose first turn is done."""
        self.provider.answers(answer)
        session_id, turn = await self.create()
        assert turn is not None
        await turn.done.wait()
        return session_id

    async def history(self, session_id: str) -> list[Message]:
        import json

        page = await self.sessions.history(session_id, offset=0, limit=1000)
        return [json.loads(body) for body in page.bodies]


@pytest.fixture(params=["memory", "sqlite", "jsonl"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealmStore]:
    store = await backend(request.param).open(str(tmp_path), create=True)
    yield store
    await store.aclose()


@pytest.fixture
async def bench(store: RealmStore) -> AsyncIterator[Bench]:
    provider, tools = ScriptedProvider(), CallbackTools()
    agents = ScriptedAgents(provider, tools)

    async def open_store(create: bool):
        await trio.lowlevel.checkpoint()
        return store

    clock = iter(range(1_700_000_000_000, 1_800_000_000_000))
    # A nursery of its own, so that turns have ended before the store is closed.
    async with trio.open_nursery() as nursery:
        sessions = Sessions("r", store=open_store, agents=agents, nursery=nursery, now_ms=lambda: next(clock))
        yield Bench(sessions, store, provider, agents, tools, nursery)
        nursery.cancel_scope.cancel()


def keyed(key: str, digest: str = "d", method: str = "turn/start") -> KeyedRequest:
    return KeyedRequest(key=key, method=method, digest=digest)
