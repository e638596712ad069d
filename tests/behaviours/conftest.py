"""Each behaviour runs through each door of the daemon."""

import os
import tempfile

import pytest
import trio
from tests.support.house import House, running_house

__all__ = ["House"]

SURFACES = ("framed", "ws-cbor", "ws-json")
# Any of these tests takes milliseconds; what hangs is told as such.
HANG_SECONDS = 20


@pytest.fixture(params=SURFACES)
async def house(request):
    # A socket's path is short; pytest's own folders are not.
    with trio.fail_after(HANG_SECONDS), tempfile.TemporaryDirectory(prefix="md-") as root:
        os.chmod(root, 0o700)
        async with running_house(root, surface=request.param) as house:
            yield house
