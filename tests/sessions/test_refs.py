"""The ways in which a person may name a session."""

import pytest
from tests.sessions.conftest import Bench

from meerkatd.errors import InvalidParams, SessionNotFound


async def test_a_session_can_be_named_by_uuid_realm_and_uuid_prefix_and_recency(bench: Bench):
    older = await bench.created()
    newer = await bench.created()
    resolve = bench.sessions.resolve
    assert await resolve(older) == older
    assert await resolve(older.upper()) == older
    assert await resolve(f"r:{older}") == older
    assert await resolve("last") == newer
    assert await resolve("~0") == newer
    assert await resolve("~") == newer
    assert await resolve("~1") == older
    assert await resolve(newer[:30]) == newer


async def test_a_prefix_of_two_sessions_is_refused_with_the_candidates(bench: Bench):
    sessions = sorted([await bench.created(), await bench.created()])
    with pytest.raises(InvalidParams) as ambiguous:
        await bench.sessions.resolve(sessions[0][:8])
    assert ambiguous.value.details["candidates"] == sessions


@pytest.mark.parametrize("reference", ["", "abc", "zzzz", "~x", "../etc", "la st"])
async def test_what_is_no_reference_is_refused_with_the_rule(bench: Bench, reference: str):
    with pytest.raises(InvalidParams):
        await bench.sessions.resolve(reference)


@pytest.mark.parametrize("reference", ["~1", "ffffffff", "last"])
async def test_a_reference_to_nothing_is_not_found(bench: Bench, reference: str):
    with pytest.raises(SessionNotFound):
        await bench.sessions.resolve(reference)


async def test_a_session_of_another_realm_is_not_looked_for_here(bench: Bench):
    session_id = await bench.created()
    with pytest.raises(InvalidParams):
        await bench.sessions.resolve(f"other:{session_id}")


async def test_an_archived_session_is_not_the_last_one(bench: Bench):
    older = await bench.created()
    newer = await bench.created()
    await bench.sessions.set_archived(newer, True)
    assert await bench.sessions.resolve("last") == older
    assert await bench.sessions.resolve(newer[:30]) == newer


async def test_the_last_session_of_an_empty_realm_is_not_found_with_the_way_to_a_first_one(bench: Bench):
    with pytest.raises(SessionNotFound) as caught:
        await bench.sessions.resolve("last")
    assert "rkat run" in caught.value.hint
