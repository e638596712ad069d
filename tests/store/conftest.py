"""Every test that asks for a `bench` runs once for each backend that can keep what the test is about."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.store.conformance.bench import WIRINGS, Bench, Wiring, bench_of

from meerkatd.store import backend


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "wiring" not in metafunc.fixturenames:
        return
    needs_durable = getattr(metafunc.function, "needs_durable", False)
    rows = [wiring for wiring in WIRINGS if wiring.durable or not needs_durable]
    metafunc.parametrize("wiring", rows, ids=str)


@pytest.fixture
async def bench(wiring: Wiring, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_of(wiring.backend(), str(tmp_path)) as bench:
        yield bench


@pytest.fixture
async def bench_sqlite(tmp_path: Path) -> AsyncIterator[Bench]:
    """For what only the SQLite backend promises."""
    async with bench_of(backend("sqlite"), str(tmp_path)) as bench:
        yield bench
