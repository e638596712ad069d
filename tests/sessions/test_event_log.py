"""One bounded log for each session, any number of readers, and no silent loss."""

import trio
import trio.testing

from meerkatd.sessions import event_log
from meerkatd.sessions.event_log import EventLog


def make_log(last_seq: int = 0) -> EventLog:
    return EventLog("s", last_seq=last_seq, now_ms=lambda: 1)


def delta(text: str):
    return {"type": "text_delta", "delta": text}


def tool(name: str):
    return {"type": "tool_execution_started", "id": name, "name": name}


async def read(log: EventLog, after: int, upto: int) -> list[dict]:
    events = log.follow(after, until=lambda: upto)
    return [envelope async for envelope in events]


def texts(envelopes: list[dict]) -> str:
    return "".join(each["payload"].get("delta", "") for each in envelopes)


async def test_events_are_numbered_from_one_without_gaps():
    log = make_log()
    for text in "abc":
        log.append(delta(text))
    assert [each["seq"] for each in await read(log, 0, 3)] == [1, 2, 3]


async def test_numbers_go_on_after_those_of_an_earlier_process():
    log = make_log(last_seq=41)
    assert log.append(delta("a")) == 42


async def test_a_reader_starts_after_its_cursor():
    log = make_log()
    for text in "abcd":
        log.append(delta(text))
    assert texts(await read(log, 2, 4)) == "cd"


async def test_a_waiting_reader_is_woken_by_each_event(autojump_clock):
    log = make_log()
    seen = []

    async def reader():
        async for envelope in log.follow(0, until=lambda: 2):
            seen.append(envelope["seq"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.testing.wait_all_tasks_blocked()
        log.append(delta("a"))
        await trio.testing.wait_all_tasks_blocked()
        assert seen == [1]
        log.append(delta("b"))
    assert seen == [1, 2]
    assert log.readers == 0


async def test_a_late_reader_of_a_long_turn_gets_all_of_its_text_folded(monkeypatch):
    monkeypatch.setattr(event_log, "MAX_EVENTS", 10)
    log = make_log()
    for number in range(100):
        log.append(delta(f"{number},"))
    envelopes = await read(log, 0, 100)
    assert len(envelopes) == 11
    assert texts(envelopes) == "".join(f"{number}," for number in range(100))
    assert envelopes[-1]["seq"] == 100


async def test_folding_keeps_the_order_of_text_and_other_events(monkeypatch):
    monkeypatch.setattr(event_log, "MAX_EVENTS", 1)
    log = make_log()
    for payload in (delta("a"), delta("b"), tool("t"), delta("c"), delta("d"), delta("e")):
        log.append(payload)
    envelopes = await read(log, 0, 6)
    assert [each["payload"].get("delta", each["payload"].get("name")) for each in envelopes] == ["ab", "t", "cd", "e"]


async def test_a_reader_in_the_middle_of_what_was_folded_is_told_how_much_it_missed(monkeypatch):
    monkeypatch.setattr(event_log, "MAX_EVENTS", 10)
    log = make_log()
    for _ in range(100):
        log.append(delta("x"))
    envelopes = await read(log, 30, 100)
    assert envelopes[0]["payload"] == {"type": "stream_truncated", "reason": {"kind": "stream_lagged", "dropped": 60}}
    assert envelopes[0]["seq"] == 90
    assert [each["seq"] for each in envelopes[1:]] == list(range(91, 101))


async def test_what_is_beyond_every_bound_is_told_as_missed(monkeypatch):
    monkeypatch.setattr(event_log, "MAX_EVENTS", 5)
    monkeypatch.setattr(event_log, "MAX_FOLDED_BYTES", 20)
    log = make_log()
    for number in range(50):
        log.append(delta("x" * 10) if number % 2 else tool("t"))
    envelopes = await read(log, 0, 50)
    first = envelopes[0]["payload"]
    assert first["type"] == "stream_truncated"
    assert first["reason"]["dropped"] == envelopes[0]["seq"]
    rest = [each["seq"] for each in envelopes[1:]]
    assert rest == sorted(rest)
    assert rest[-1] == 50


async def test_a_reader_that_comes_back_after_the_daemon_died_is_told_of_the_gap():
    """After a crash the numbers of the turn that was lost are skipped, never used twice."""
    log = make_log(last_seq=1000)
    log.append(delta("a"))
    envelopes = await read(log, 10, 1001)
    assert envelopes[0]["payload"]["reason"] == {"kind": "stream_lagged", "dropped": 990}
    assert envelopes[1]["seq"] == 1001


async def test_memory_does_not_grow_with_the_number_of_events(monkeypatch):
    monkeypatch.setattr(event_log, "MAX_EVENTS", 100)
    monkeypatch.setattr(event_log, "MAX_FOLDED_BYTES", 10_000)
    log = make_log()
    for number in range(20_000):
        log.append(delta("abc") if number % 7 else tool("t"))
    assert len(log._events) == 100
    assert sum(len(folded.text or "") * 3 for folded in log._folded) < 20_000


async def test_a_new_turn_lets_go_of_the_events_before_the_last_one():
    log = make_log()
    for text in "abc":
        log.append(delta(text))
    log.forget_before(2)
    assert (await read(log, 0, 3))[0]["payload"]["reason"]["dropped"] == 2
    assert [each["seq"] for each in await read(log, 2, 3)] == [3]


async def test_a_slow_reader_of_a_turn_gets_nothing_of_the_next_one():
    """A turn may begin before a reader that lags has read the end of the one before."""
    log = make_log()
    for text in "abcd":
        log.append(delta(text))
    assert texts(await read(log, 0, 2)) == "ab"
