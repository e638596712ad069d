"""Each behaviour runs through each door of the daemon."""

import os
import tempfile
from collections.abc import Callable, Mapping

import pytest
import trio
from tests.behaviours import mcp_door
from tests.support.house import House, running_house

__all__ = ["House"]

SOCKET_SURFACES = ("framed", "ws-cbor", "ws-json")
# Programs between a client and the daemon: for each, whether a test goes through it.
SHIMS: Mapping[str, Callable[[Callable[..., object]], bool]] = {"mcp": mcp_door.goes_through}
# Any of these tests takes milliseconds; what hangs is told as such.
HANG_SECONDS = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that has a house has one for each surface that it goes through."""
    if "house" in metafunc.fixturenames:
        shims = [name for name, goes_through in SHIMS.items() if goes_through(metafunc.function)]
        metafunc.parametrize("house", [*SOCKET_SURFACES, *shims], indirect=True)


@pytest.fixture
async def house(request, monkeypatch):
    # A socket's path is short; pytest's own folders are not.
    with trio.fail_after(HANG_SECONDS), tempfile.TemporaryDirectory(prefix="md-") as root:
        os.chmod(root, 0o700)
        # Where the clients of a shim look for the socket.
        monkeypatch.setenv("MEERKAT_RUNTIME_DIR", f"{root}/run")
        async with running_house(root, surface=request.param) as house:
            yield house
