"""Events over HTTP: each once, in order, from any place, for any number of readers."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from tests.rest.rest_kit import Rest, Sse, SseEvent, running_rest
from tests.rest.test_sessions import created
from tests.support.house import House
from tests.support.scripted_provider import Gate

from rkat_shims.rest import events as feeds
from rkat_shims.rest import sse
from rkat_shims.rest.following import TurnEnd

_TURN = ["run_started", "turn_started", "text_delta", "text_complete", "turn_completed", "run_completed"]


def numbers(events: list[SseEvent]) -> list[int]:
    return [int(event.id) for event in events if event.id is not None]


def kinds(events: list[SseEvent]) -> list[str]:
    return [event.kind for event in events]


@asynccontextmanager
async def running_turn(rest: Rest, session_id: str, prompt: str = "go") -> AsyncIterator[None]:
    """A turn whose request is answered when the block ends."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rest.post, f"/sessions/{session_id}/messages", {"prompt": prompt})
        yield


async def test_a_reader_gets_the_envelopes_of_the_turn_that_runs_and_of_those_that_follow(
    house: House, rest: Rest
) -> None:
    session_id = await created(house, rest)
    gate = Gate()
    house.provider.answers(gate, "a")
    async with running_turn(rest, session_id):
        await gate.reached.wait()
        async with rest.events(f"/sessions/{session_id}/events") as events:
            first = await events.next()
            assert first is not None
            assert (first.kind, first.id, first.data["session_id"]) == ("session_loaded", None, session_id)
            gate.open()
            turn = await events.until("run_completed")
            assert kinds(turn) == _TURN
            assert [event.data["seq"] for event in turn] == numbers(turn)
            assert turn[2].data["payload"] == {"type": "text_delta", "delta": "a"}
            assert turn[0].data["source"] == {"type": "session", "session_id": session_id}
            house.provider.answers("b")
            await rest.post("/sessions/last/messages", {"prompt": "again"})
            assert kinds(await events.until("run_completed")) == _TURN


async def test_a_reader_that_was_cut_comes_back_and_misses_nothing(house: House, rest: Rest) -> None:
    session_id = await created(house, rest)
    gates = [Gate() for _ in range(5)]
    house.provider.answers(*itertools.chain(*((gate, f"{number} ") for number, gate in enumerate(gates))))
    target = f"/sessions/{session_id}/events"
    seen: list[SseEvent] = []
    async with running_turn(rest, session_id):
        last_id = ""
        for gate in gates:
            async with rest.events(target, last_event_id=last_id) as events:
                await gate.reached.wait()
                gate.open()
                found = await events.until("text_delta")
                seen += [event for event in found if event.id is not None]
                last_id = events.last_id or ""
    # Cut in the middle of the address, too: the header wins over the cursor that is in there.
    async with rest.events(f"{target}?cursor=0&until=turn_end", last_event_id=last_id) as events:
        seen += [event for event in await events.until("done") if event.id is not None]
        assert await events.next() is None
    assert numbers(seen) == list(range(numbers(seen)[0], numbers(seen)[0] + len(seen)))
    assert "".join(event.data["payload"].get("delta", "") for event in seen) == "0 1 2 3 4 "
    assert seen[-1].kind == "run_completed"


async def test_a_reader_behind_the_ring_catches_up_by_a_stream_of_its_own(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MAX_RING_EVENTS", 4)
    async with running_rest(house, realm="r") as rest:
        session_id = await created(house, rest)
        gate = Gate()
        house.provider.answers(*"abcdefgh", gate, *"ijklmnop")
        async with running_turn(rest, session_id), rest.events(f"/sessions/{session_id}/events") as newest:
            await gate.reached.wait()
            found: list[SseEvent] = []
            while not found or found[-1].data["payload"].get("delta") != "h":
                found += [event for event in await newest.until("text_delta") if event.id is not None]
            # The ring has the end of the turn so far only.
            async with rest.events(f"/sessions/{session_id}/events?until=turn_end") as late:
                assert [event.id for event in (await late.until("text_delta"))[1:]] == [each.id for each in found[:3]]
                gate.open()
                rest_of_it = await late.until("done")
            assert "".join(event.data["payload"].get("delta", "") for event in rest_of_it[:-1]) == "bcdefghijklmnop"
            assert numbers(rest_of_it)[0] == int(found[2].id or 0) + 1
            assert numbers(await newest.until("run_completed")) == [
                number for number in numbers(rest_of_it) if number > int(found[-1].id or 0)
            ]
        assert rest.shim.feeds.catching_up.borrowed_tokens == 0


async def test_what_the_daemon_does_not_have_any_more_is_told_by_an_event(house: House, rest: Rest) -> None:
    session_id = await created(house, rest)
    for answer in "ab":
        house.provider.answers(answer)
        await rest.post(f"/sessions/{session_id}/messages", {"prompt": "go"})
    async with rest.events(f"/sessions/{session_id}/events?cursor=1&until=turn_end") as events:
        _, gap, *others = await events.until("done")
    assert gap.kind == "stream_truncated"
    assert gap.data["payload"]["reason"]["dropped"] == int(gap.id or 0) - 1
    assert numbers(others)[0] == int(gap.id or 0) + 1


async def test_cursors_that_cannot_be_are_refused(house: House, rest: Rest) -> None:
    session_id = await created(house, rest)
    target = f"/sessions/{session_id}/events"
    for more, headers, status, code in (
        ("?cursor=99", {}, 410, "STALE_CURSOR"),
        ("", {"last_event_id": "99"}, 410, "STALE_CURSOR"),
        ("?cursor=-1", {}, 400, "INVALID_PARAMS"),
        ("?cursor=x", {}, 400, "INVALID_PARAMS"),
        ("", {"last_event_id": "x"}, 400, "INVALID_PARAMS"),
        ("?until=later", {}, 400, "INVALID_PARAMS"),
    ):
        reply = await rest.ask("GET", target + more, **headers)
        assert (reply.status, reply.code) == (status, code), more
    assert (await rest.ask("GET", "/sessions/~9/events")).code == "SESSION_NOT_FOUND"


async def test_an_idle_session_has_no_turn_whose_end_one_could_wait_for(house: House, rest: Rest) -> None:
    session_id = await created(house, rest)
    async with rest.events(f"/sessions/{session_id}/events?until=turn_end") as events:
        assert kinds(await events.until("done")) == ["session_loaded", "done"]
        assert await events.next() is None


async def test_a_silent_stream_has_heartbeats(house: House, rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    session_id = await created(house, rest)
    async with rest.events(f"/sessions/{session_id}/events") as events:
        assert (await events.next()) is not None
        with trio.move_on_after(5):
            while events.comments < 3:
                with trio.move_on_after(0.01):
                    await events.next()
        assert events.comments >= 3
        house.provider.answers("a")
        await rest.post("/sessions/last/messages", {"prompt": "go"})
        assert kinds(await events.until("run_completed")) == _TURN


async def test_a_stream_ends_with_its_realm(house: House, rest: Rest) -> None:
    session_id = await created(house, rest)
    async with rest.events(f"/sessions/{session_id}/events") as events, house.connect(realm_id="other") as other:
        house.provider.answers("a")
        await rest.post("/sessions/last/messages", {"prompt": "go"})
        await events.until("run_completed")
        await other.call("realm/delete", realm_id="r", force=True)
        assert kinds(await events.until("done")) == ["done"]


async def test_the_end_of_the_server_ends_streams_and_leaves_turns(house: House) -> None:
    gate = Gate()
    replies = []
    async with running_rest(house, realm="r") as rest:
        session_id = await created(house, rest)
        house.provider.answers("half", gate, "whole")

        async def run() -> None:
            replies.append(await rest.ask("POST", f"/sessions/{session_id}/messages", {"prompt": "go"}))

        async with rest.events(f"/sessions/{session_id}/events") as events, trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await events.until("text_delta")
            rest.closing.set()
            rest.shim.calls.link.close()
            assert await events.next() is None, "no last word: whoever comes next goes on"
    assert (replies[0].status, replies[0].code) == (503, "SHUTTING_DOWN")
    assert replies[0].json["details"]["session_id"] == session_id
    async with running_rest(house, realm="r") as rest, rest.events("/sessions/last/events?until=turn_end") as events:
        gate.open()
        await events.until("done")
        assert (await rest.get("/sessions/last"))["last_assistant_text"] == "halfwhole"


async def test_a_watch_tells_a_reader_who_comes_back_what_it_missed(rest: Rest) -> None:
    async with rest.events("/config/watch") as one, rest.events("/config/watch") as two:
        for each in (one, two):
            assert (await each.next()) is not None
        await rest.ask("PATCH", "/config", {"agent": {"model": "a"}})
        for each in (one, two):
            changed = await each.next()
            assert changed is not None
            assert changed.id == "1"
    await rest.ask("PATCH", "/config", {"agent": {"model": "b"}})
    async with rest.events("/config/watch", last_event_id="1") as events:
        assert [(each.kind, each.id) for each in await events.until("config_changed")] == [
            ("config_loaded", None),
            ("config_changed", "2"),
        ]
    async with rest.events("/config/watch", last_event_id="2") as events:
        assert (await _one(events)).kind == "config_loaded"
        await rest.ask("PATCH", "/config", {"agent": {"model": "c"}})
        assert (await _one(events)).id == "3"


async def _one(events: Sse) -> SseEvent:
    event = await events.next()
    assert event is not None
    return event


def _event(seq: int, kind: str, turn_id: str | None = None) -> feeds.Event:
    return feeds.Event(seq, kind, turn_id, b"")


def test_the_end_of_a_turn_is_found_though_it_is_in_a_gap() -> None:
    turn = {"turn_id": "t1", "cursor": 10}
    end = TurnEnd(turn, 12)
    for event in (_event(5, "run_completed"), _event(8, "run_started", "t0"), _event(11, "run_started", "t1")):
        end.look(event)
        assert end.place is None
    end.look(_event(30, "run_started", "t2"))
    assert end.place == 29
    told = TurnEnd(turn, 12)
    told.is_still({"turn_id": "t1"}, 40)
    assert not told.reached(40)
    told.is_still(None, 40)
    assert told.reached(40)
    assert not told.reached(39)
    plain = TurnEnd(turn, 12)
    plain.look(_event(20, "run_failed"))
    assert plain.place == 20
