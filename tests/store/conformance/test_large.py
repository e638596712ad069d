"""Large bodies, many rows."""

from tests.store.conformance.bench import BIG, Bench, durable

MIB = 1 << 20


async def test_large_messages_come_back_whole(bench: Bench) -> None:
    session = await bench.new_session()
    bodies = ["x" * (4 * MIB), "é" * MIB, "end"]
    await bench.append(session.session_id, *bodies)
    assert await bench.bodies(session.session_id) == bodies
    assert len((await bench.page(session.session_id, max_bytes=5 * MIB)).bodies) == 1


async def test_bodies_of_every_size_around_a_page(bench: Bench) -> None:
    """Rows spill over several pages of a file at sizes of their own in each format; nothing may be lost there."""
    session = await bench.new_session()
    bodies = [chr(97 + n % 26) * size for n, size in enumerate([*range(480, 500), *range(4000, 4110, 5), 8184, 65536])]
    await bench.append(session.session_id, *bodies)
    assert await bench.bodies(session.session_id) == bodies


async def test_one_turn_of_many_messages(bench: Bench) -> None:
    session = await bench.new_session()
    bodies = [f"message {n}" for n in range(5000)]
    await bench.append(session.session_id, *bodies)
    page = await bench.page(session.session_id, 4990, 100, BIG)
    assert (page.total, list(page.bodies)) == (5000, bodies[4990:])


@durable
async def test_large_messages_are_there_after_opening_again(bench: Bench) -> None:
    session = await bench.new_session()
    bodies = [str(n) * MIB for n in range(6)]
    for body in bodies:
        await bench.append(session.session_id, body)
    await bench.reopen()
    assert await bench.bodies(session.session_id) == bodies
