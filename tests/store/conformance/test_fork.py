"""Messages that no turn has made, and sessions that begin with those of another one."""

import random

import pytest
from tests.store.conformance.bench import Bench, durable
from tests.store.conformance.test_append import BODIES
from tests.store.conformance.test_keys import key_row

from meerkatd.errors import DuplicateInput
from meerkatd.store.api import NewMessage, SessionChange


def new(*bodies: str) -> list[NewMessage]:
    return [NewMessage(role="user", body=body) for body in bodies]


async def test_messages_are_appended_without_a_turn(bench: Bench) -> None:
    session = await bench.new_session(event_seq=7)
    await bench.append(session.session_id, "a")
    await bench.store.append(session.session_id, new(*BODIES), updated_ms=bench.tick())
    await bench.append(session.session_id, "z")
    assert await bench.bodies(session.session_id) == ["a", *BODIES, "z"]
    stored = await bench.stored(session.session_id)
    assert (stored.message_count, stored.turn_count) == (len(BODIES) + 2, 2)


async def test_appending_touches_the_session_and_leaves_its_turns_alone(bench: Bench) -> None:
    session = await bench.new_session()
    turn = await bench.begin(session.session_id)
    await bench.store.append(session.session_id, new("meanwhile"), updated_ms=(now := bench.tick()))
    stored = await bench.stored(session.session_id)
    assert (stored.updated_ms, stored.message_count) == (now, 1)
    assert await bench.store.running_turns() == [turn]
    await bench.store.end_turn(bench.turn_end(turn, "of the turn"))
    assert await bench.bodies(session.session_id) == ["meanwhile", "of the turn"]


async def test_appending_nothing_is_a_change_of_the_time_only(bench: Bench) -> None:
    session = await bench.new_session()
    await bench.store.append(session.session_id, [], updated_ms=(now := bench.tick()))
    stored = await bench.stored(session.session_id)
    assert (stored.updated_ms, stored.message_count) == (now, 0)


async def test_append_with_a_taken_key_appends_nothing(bench: Bench) -> None:
    session = await bench.new_session()
    await bench.store.append(session.session_id, new("a"), updated_ms=bench.tick(), key=key_row())
    before = await bench.stored(session.session_id)
    with pytest.raises(DuplicateInput):
        await bench.store.append(session.session_id, new("b"), updated_ms=bench.tick(), key=key_row())
    assert await bench.bodies(session.session_id) == ["a"]
    assert await bench.stored(session.session_id) == before
    with pytest.raises(KeyError):
        await bench.store.append("nope", new("c"), updated_ms=1)


async def test_fork_has_the_first_messages_and_goes_on_by_itself(bench: Bench) -> None:
    source = await bench.new_session()
    await bench.append(source.session_id, *BODIES)
    fork = bench.session_row(labels={"a": "1"}, meta='{"model":"m"}')
    await bench.store.fork_session(fork, source_id=source.session_id, count=3)
    stored = await bench.stored(fork.session_id)
    assert (stored.message_count, stored.turn_count, stored.meta) == (3, 0, '{"model":"m"}')
    assert (stored.updated_ms, stored.labels, stored.usage.total_tokens) == (fork.updated_ms, {"a": "1"}, 0)
    assert await bench.bodies(fork.session_id) == list(BODIES[:3])
    await bench.append(fork.session_id, "only here")
    await bench.append(source.session_id, "only there")
    assert await bench.bodies(fork.session_id) == [*BODIES[:3], "only here"]
    assert await bench.bodies(source.session_id) == [*BODIES, "only there"]
    assert await bench.listed(labels={"a": "1"}) == [fork.session_id]


async def test_fork_at_either_end_is_empty_or_whole(bench: Bench) -> None:
    source = await bench.new_session()
    await bench.append(source.session_id, "a", "b")
    for count in (0, 2):
        fork = bench.session_row()
        await bench.store.fork_session(fork, source_id=source.session_id, count=count)
        assert await bench.bodies(fork.session_id) == ["a", "b"][:count]


async def test_fork_of_a_fork_keeps_the_messages(bench: Bench) -> None:
    source, first, second = await bench.new_session(), bench.session_row(), bench.session_row()
    await bench.append(source.session_id, "a", "b", "c")
    await bench.store.fork_session(first, source_id=source.session_id, count=2)
    await bench.append(first.session_id, "d")
    await bench.store.fork_session(second, source_id=first.session_id, count=3)
    assert await bench.bodies(second.session_id) == ["a", "b", "d"]


async def test_fork_that_does_not_fit_leaves_nothing(bench: Bench) -> None:
    source = await bench.new_session()
    await bench.append(source.session_id, "a")
    taken = bench.session_row()
    await bench.store.create_session(taken, key=key_row())
    fork = bench.session_row()
    with pytest.raises(KeyError):
        await bench.store.fork_session(fork, source_id="nope", count=0)
    with pytest.raises(ValueError, match="has 1 messages"):
        await bench.store.fork_session(fork, source_id=source.session_id, count=2)
    with pytest.raises(ValueError, match="exists already"):
        await bench.store.fork_session(taken, source_id=source.session_id, count=1)
    with pytest.raises(DuplicateInput):
        await bench.store.fork_session(fork, source_id=source.session_id, count=1, key=key_row(digest="other"))
    assert await bench.store.session(fork.session_id) is None
    assert await bench.bodies(taken.session_id) == []


async def test_page_crosses_from_shared_messages_to_own_ones(bench: Bench) -> None:
    source, first, second = await bench.new_session(), bench.session_row(), bench.session_row()
    await bench.append(source.session_id, "a0", "a1", "a2", "a3")
    await bench.store.fork_session(first, source_id=source.session_id, count=3)
    await bench.append(first.session_id, "b3", "b4")
    await bench.store.fork_session(second, source_id=first.session_id, count=4)
    await bench.append(second.session_id, "c4", "c5")
    whole = ["a0", "a1", "a2", "b3", "c4", "c5"]
    for offset in range(8):
        for limit in range(8):
            page = await bench.page(second.session_id, offset, limit)
            assert (list(page.bodies), page.total) == (whole[offset : offset + limit], 6)
            small = await bench.page(second.session_id, offset, limit, max_bytes=5)
            assert list(small.bodies) == whole[offset : offset + min(limit, 2)]


async def test_any_tree_of_forks_reads_as_if_it_were_copied(bench: Bench) -> None:
    dice = random.Random(7)
    copies: dict[str, list[str]] = {(await bench.new_session()).session_id: []}
    for number in range(120):
        session_id = dice.choice(list(copies))
        if dice.random() < 0.6:
            texts = [f"{number}.{part}" for part in range(dice.randrange(4))]
            await bench.append(session_id, *texts)
            copies[session_id] += texts
            continue
        fork, count = bench.session_row(), dice.randint(0, len(copies[session_id]))
        await bench.store.fork_session(fork, source_id=session_id, count=count)
        copies[fork.session_id] = copies[session_id][:count]
    assert {name: await bench.bodies(name) for name in copies} == copies
    assert (await bench.store.info()).messages == sum(map(len, copies.values()))


async def test_what_becomes_of_the_source_changes_nothing_in_its_forks(bench: Bench) -> None:
    source, fork = await bench.new_session(), bench.session_row()
    await bench.append(source.session_id, "a", "b")
    await bench.store.fork_session(fork, source_id=source.session_id, count=2)
    await bench.store.change_session(source.session_id, SessionChange(updated_ms=bench.tick(), archived=True))
    assert await bench.bodies(fork.session_id) == ["a", "b"]
    again = bench.session_row()
    await bench.store.fork_session(again, source_id=source.session_id, count=1)
    assert await bench.bodies(again.session_id) == ["a"]


@durable
async def test_appended_and_forked_messages_are_there_after_opening_again(bench: Bench) -> None:
    source = await bench.new_session()
    await bench.append(source.session_id, "a", "b")
    await bench.store.append(source.session_id, new("c"), updated_ms=(now := bench.tick()), key=key_row())
    fork = bench.session_row()
    await bench.store.fork_session(fork, source_id=source.session_id, count=3, key=key_row("k2"))
    await bench.reopen()
    assert await bench.bodies(source.session_id) == await bench.bodies(fork.session_id) == ["a", "b", "c"]
    assert (await bench.stored(source.session_id)).updated_ms == now
    assert await bench.stored(fork.session_id) == await bench.store.session(fork.session_id)
    assert await bench.store.key("k") is not None
    assert await bench.store.key("k2") is not None
    await bench.append(fork.session_id, "d")
    await bench.append(source.session_id, "e")
    second = bench.session_row()
    await bench.store.fork_session(second, source_id=fork.session_id, count=4)
    await bench.reopen()
    assert await bench.bodies(second.session_id) == ["a", "b", "c", "d"]
    await bench.append(second.session_id, "f")
    await bench.reopen()
    assert await bench.bodies(second.session_id) == ["a", "b", "c", "d", "f"]
    assert await bench.bodies(fork.session_id) == ["a", "b", "c", "d"]
    assert await bench.bodies(source.session_id) == ["a", "b", "c", "e"]
