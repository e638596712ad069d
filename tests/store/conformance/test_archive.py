"""Archived sessions and labels."""

from tests.store.conformance.bench import Bench, durable

from meerkatd.store.api import SessionChange


async def _archive(bench: Bench, session_id: str, archived: bool = True) -> int:
    now = bench.tick()
    await bench.store.change_session(session_id, SessionChange(updated_ms=now, archived=archived))
    return now


async def test_archived_session_leaves_the_list_and_keeps_its_history(bench: Bench) -> None:
    kept, gone = await bench.new_session(), await bench.new_session()
    await bench.append(gone.session_id, "a")
    now = await _archive(bench, gone.session_id)
    assert await bench.listed() == [kept.session_id]
    assert await bench.listed(include_archived=True) == [gone.session_id, kept.session_id]
    assert (await bench.stored(gone.session_id)).archived_ms == now
    assert await bench.bodies(gone.session_id) == ["a"]


async def test_archiving_again_keeps_the_first_time_and_unarchiving_clears_it(bench: Bench) -> None:
    session_id = (await bench.new_session()).session_id
    first = await _archive(bench, session_id)
    await _archive(bench, session_id)
    assert (await bench.stored(session_id)).archived_ms == first
    await bench.store.change_session(session_id, SessionChange(updated_ms=bench.tick(), meta='{"n":1}'))
    assert (await bench.stored(session_id)).archived_ms == first
    await _archive(bench, session_id, archived=False)
    assert (await bench.stored(session_id)).archived_ms is None
    assert await bench.listed() == [session_id]


async def test_list_with_archived_is_one_order(bench: Bench) -> None:
    ids = [(await bench.new_session()).session_id for _ in range(8)]
    for session_id in ids[::2]:
        await bench.store.change_session(
            session_id, SessionChange(updated_ms=(await bench.stored(session_id)).updated_ms, archived=True)
        )
    expected = list(reversed(ids))
    assert await bench.listed(include_archived=True) == expected
    assert await bench.listed(include_archived=True, offset=3, limit=2) == expected[3:5]
    assert await bench.listed() == [session_id for session_id in expected if session_id not in ids[::2]]


async def test_all_labels_must_match(bench: Bench) -> None:
    both = await bench.new_session(labels={"team": "red", "kind": "fix"})
    red = await bench.new_session(labels={"team": "red"})
    blue = await bench.new_session(labels={"team": "blue", "kind": "fix"})
    await bench.new_session()
    assert await bench.listed(labels={"team": "red"}) == [red.session_id, both.session_id]
    assert await bench.listed(labels={"team": "red", "kind": "fix"}) == [both.session_id]
    assert await bench.listed(labels={"kind": "fix"}) == [blue.session_id, both.session_id]
    assert await bench.listed(labels={"team": "green"}) == []
    assert await bench.listed(labels={"red": "team"}) == []
    assert await bench.listed(labels={"kind": "fix"}, offset=1, limit=1) == [both.session_id]


async def test_labels_and_archived_combine(bench: Bench) -> None:
    ids = [(await bench.new_session(labels={"a": "1", "b": "2"})).session_id for _ in range(3)]
    await _archive(bench, ids[0])
    query = {"labels": {"a": "1", "b": "2"}}
    assert await bench.listed(**query) == [ids[2], ids[1]]
    assert await bench.listed(**query, include_archived=True) == [ids[0], ids[2], ids[1]]


async def test_changed_labels_replace_the_old_ones_in_row_and_search(bench: Bench) -> None:
    session_id = (await bench.new_session(labels={"a": "1", "b": "2"})).session_id
    change = SessionChange(updated_ms=bench.tick(), labels={"b": "3", 'quo"te': "ž🦦"})
    changed = await bench.store.change_session(session_id, change)
    assert changed.labels == {"b": "3", 'quo"te': "ž🦦"}
    assert await bench.listed(labels={"b": "3"}) == [session_id]
    assert await bench.listed(labels={'quo"te': "ž🦦"}) == [session_id]
    assert await bench.listed(labels={"a": "1"}) == []
    assert await bench.listed(labels={"b": "2"}) == []
    await bench.store.change_session(session_id, SessionChange(updated_ms=bench.tick(), labels={}))
    assert (await bench.stored(session_id)).labels == {}
    assert await bench.listed(labels={"b": "3"}) == []


async def test_stored_labels_are_a_copy(bench: Bench) -> None:
    labels = {"a": "1"}
    session = await bench.new_session(labels=labels)
    labels["a"] = "changed by the caller"
    assert (await bench.stored(session.session_id)).labels == {"a": "1"}


@durable
async def test_archive_and_labels_are_there_after_opening_again(bench: Bench) -> None:
    session_id = (await bench.new_session(labels={"a": "1"})).session_id
    now = await _archive(bench, session_id)
    await bench.reopen()
    assert (await bench.stored(session_id)).archived_ms == now
    assert await bench.listed(labels={"a": "1"}) == []
    assert await bench.listed(labels={"a": "1"}, include_archived=True) == [session_id]
