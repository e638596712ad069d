"""Pages of messages and of the list, and prefixes of ids."""

from tests.store.conformance.bench import BIG, Bench


async def _session_with(bench: Bench, bodies: list[str]) -> str:
    session = await bench.new_session()
    await bench.append(session.session_id, *bodies)
    return session.session_id


async def test_every_page_of_messages_is_the_slice(bench: Bench) -> None:
    bodies = [f"m{n}" for n in range(12)]
    session_id = await _session_with(bench, bodies)
    for offset in range(14):
        for limit in (0, 1, 5, 100):
            page = await bench.page(session_id, offset, limit)
            assert (page.offset, page.total) == (offset, 12)
            assert list(page.bodies) == bodies[offset : offset + limit]


async def test_offset_far_past_the_end_is_an_empty_page(bench: Bench) -> None:
    session_id = await _session_with(bench, ["a"])
    await _session_with(bench, ["another session's"])
    for offset in (1, 2**31, 2**40):
        page = await bench.page(session_id, offset)
        assert (page.total, list(page.bodies)) == (1, [])


async def test_page_ends_before_it_exceeds_the_bytes(bench: Bench) -> None:
    session_id = await _session_with(bench, ["x" * 10, "é" * 5, "y" * 10, "z"])
    for max_bytes, expected in ((9, 1), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3), (31, 4), (BIG, 4)):
        assert len((await bench.page(session_id, max_bytes=max_bytes)).bodies) == expected


async def test_page_has_one_message_however_large(bench: Bench) -> None:
    session_id = await _session_with(bench, ["a", "x" * 1000])
    assert (await bench.page(session_id, 1, max_bytes=1)).bodies[0] == "x" * 1000


async def test_list_is_newest_first_and_pages_without_overlap(bench: Bench) -> None:
    ids = [(await bench.new_session()).session_id for _ in range(7)]
    await bench.append(ids[2], "touched last")
    expected = [ids[2], *(session_id for session_id in reversed(ids) if session_id != ids[2])]
    assert await bench.listed() == expected
    pages = [await bench.listed(offset=offset, limit=3) for offset in (0, 3, 6, 9)]
    assert [session_id for page in pages for session_id in page] == expected
    assert await bench.listed(limit=0) == []


async def test_sessions_of_the_same_instant_are_ordered_by_id(bench: Bench) -> None:
    ids = [(await bench.new_session(updated_ms=5)).session_id for _ in range(5)]
    assert await bench.listed() == sorted(ids, reverse=True)


async def test_prefix_finds_all_and_only_its_ids(bench: Bench) -> None:
    ids = ["01ab-1", "01ab-2", "01ac-1", "02ab-1"]
    for session_id in ids:
        await bench.new_session(session_id=session_id, archived_ms=5 if session_id == "01ab-2" else None)
    for prefix in ("", "0", "01", "01a", "01ab", "01ab-2", "03", "01ab-11"):
        found = await bench.store.sessions_by_prefix(prefix, limit=10)
        assert sorted(found) == [session_id for session_id in ids if session_id.startswith(prefix)]
    assert len(await bench.store.sessions_by_prefix("01", limit=2)) == 2
