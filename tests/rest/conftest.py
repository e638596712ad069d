"""A house with a daemon and an `rkat-rest` in it."""

import os
import tempfile
from collections.abc import AsyncIterator

import pytest
import trio
from tests.rest.rest_kit import Rest, running_rest
from tests.support.house import House, running_house

# Any of these tests takes seconds at most; what hangs is told as such.
HANG_SECONDS = 120


@pytest.fixture
async def house() -> AsyncIterator[House]:
    # A socket's path is short; pytest's own folders are not.
    with trio.fail_after(HANG_SECONDS), tempfile.TemporaryDirectory(prefix="md-") as root:
        os.chmod(root, 0o700)
        async with running_house(root) as house:
            yield house


@pytest.fixture
async def rest(house: House) -> AsyncIterator[Rest]:
    async with running_rest(house, realm="r") as rest:
        yield rest
