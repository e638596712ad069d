"""What is kept in memory of sessions that nobody uses right now."""

import trio

from meerkatd.sessions import live as live_module
from meerkatd.sessions.live import LiveSessions
from meerkatd.sessions.meta import SessionMeta
from meerkatd.store.api import SessionRow
from meerkatd.store.memory import MemoryStore

_META = SessionMeta(model="m", provider="p").dump()
_TEXT = "x" * 100_000


async def _made(count: int) -> LiveSessions:
    store = MemoryStore()
    for number in range(count):
        await store.create_session(SessionRow(session_id=f"s{number}", created_ms=1, updated_ms=1, meta=_META))

    async def give() -> MemoryStore:
        return store

    return LiveSessions(give, now_ms=lambda: 1)


async def _say(live: LiveSessions, session_id: str, *, events: int) -> None:
    async with live.hold(session_id) as session:
        for _ in range(events):
            session.events.append({"type": "text_delta", "delta": _TEXT})


async def test_the_events_of_idle_sessions_are_bounded_together(monkeypatch) -> None:
    """Each keeps its last two turns for readers that come back; a realm with many talkative sessions must not keep
    gigabytes of them."""
    monkeypatch.setattr(live_module, "IDLE_EVENT_BYTES", 2_000_000)
    live = await _made(10)
    for number in range(10):
        await _say(live, f"s{number}", events=4)
    held = [number for number in range(10) if live.get(f"s{number}") is not None]
    assert held == [6, 7, 8, 9]


async def test_sessions_that_are_in_use_are_not_forgotten_for_their_weight(monkeypatch) -> None:
    monkeypatch.setattr(live_module, "IDLE_EVENT_BYTES", 100_000)
    live = await _made(2)
    async with live.hold("s0") as session:
        for _ in range(10):
            session.events.append({"type": "text_delta", "delta": _TEXT})
        await _say(live, "s1", events=4)
        assert live.get("s0") is session
        assert live.get("s1") is None


async def test_light_sessions_are_kept_beside_heavy_ones(monkeypatch) -> None:
    """Forgetting them would win nothing."""
    monkeypatch.setattr(live_module, "IDLE_EVENT_BYTES", 100_000)
    live = await _made(2)
    async with live.hold("s0"):
        await trio.lowlevel.checkpoint()
    await _say(live, "s1", events=4)
    assert live.get("s0") is not None
