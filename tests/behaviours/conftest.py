"""Each behaviour runs through each way to the daemon, but for those that its test excepts, with the reason."""

import os
import tempfile

import pytest
import trio
from tests.behaviours.promises import exceptions_of
from tests.behaviours.surfaces import SURFACES
from tests.behaviours.ts_door import driver_socket
from tests.support.house import House, running_house

__all__ = ["House"]

# Any of these tests takes milliseconds; what hangs is told as such.
HANG_SECONDS = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "house" in metafunc.fixturenames:
        surfaces = [surface for surface in SURFACES if surface not in exceptions_of(metafunc.function)]
        metafunc.parametrize("house", surfaces, indirect=True)


@pytest.fixture(scope="session")
def typescript() -> None:
    """Its client is built before the time of a test begins to count."""
    driver_socket()


@pytest.fixture(autouse=True)
def _way(request: pytest.FixtureRequest) -> None:
    """What the way of a test needs to be there."""
    case = getattr(request.node, "callspec", None)
    if case is not None and case.params.get("house") == "ts":
        request.getfixturevalue("typescript")


@pytest.fixture
async def house(request):
    # A socket's path is short; pytest's own folders are not.
    with trio.fail_after(HANG_SECONDS), tempfile.TemporaryDirectory(prefix="md-") as root:
        os.chmod(root, 0o700)
        async with running_house(root, surface=request.param) as house:
            yield house
