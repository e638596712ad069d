"""Many clients in one program, and one program that connects many times."""

import gc
import os

import anyio
import psutil
import pytest
from tests.sdk.flavours import World, played, run

from meerkat_client import blocking

CLIENTS = 100
# Of memory, what a thousand cycles may add after the first ones: less than 1 KiB each.
GROWTH_BYTES = 1024 * 1024


@played("asyncio", "trio")
async def test_a_hundred_clients_of_one_realm_see_the_same_list(world: World) -> None:
    created: list[str] = []
    lists: list[list[str]] = []
    all_created = anyio.Event()

    async def one() -> None:
        async with world.client() as client:
            created.append((await world.create(client)).id)
            if len(created) == CLIENTS:
                all_created.set()
            await all_created.wait()
            lists.append([row.session_id for row in await client.list_sessions(limit=1000)])

    async with anyio.create_task_group() as tasks:
        for _ in range(CLIENTS):
            tasks.start_soon(one)
    assert len(lists) == CLIENTS
    assert set(lists[0]) == set(created)
    assert all(each == lists[0] for each in lists)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else psutil.Process().num_fds()


@pytest.mark.parametrize("flavour", ["asyncio", "trio", "blocking"])
@pytest.mark.parametrize("cycles", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_connecting_and_closing_leaves_nothing_behind(flavour: str, cycles: int, house) -> None:
    world = World(flavour, house.model, house.options())

    async def cycle_async(count: int) -> None:
        for _ in range(count):
            async with world.client() as client:
                await client.list_sessions()

    def cycle_blocking(count: int) -> None:
        for _ in range(count):
            with blocking.MeerkatClient(**world.options) as client:
                client.list_sessions()

    async def body() -> None:
        async def cycle(count: int) -> None:
            if flavour == "blocking":
                cycle_blocking(count)
            else:
                await cycle_async(count)

        await cycle(cycles // 10)
        gc.collect()
        files, memory = open_files(), psutil.Process().memory_info().rss
        await cycle(cycles)
        gc.collect()
        assert open_files() == files
        assert psutil.Process().memory_info().rss - memory < GROWTH_BYTES

    run(flavour, body)
