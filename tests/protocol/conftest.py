"""Fixtures of the protocol's tests. The test double is the one that the process tests run as a daemon."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.protocol.protocol_door import Door, code_of, open_door


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened


@pytest.fixture
def code() -> Callable[[Any], str]:
    return code_of
