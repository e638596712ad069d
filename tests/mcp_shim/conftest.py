"""A place with a model for each test, and one daemon for as many tests of a module as can share it."""

from collections.abc import Iterator

import pytest
from tests.mcp_shim.agent_kit import AgentPlace
from tests.support.gated_model import GatedModel


@pytest.fixture
def model() -> Iterator[GatedModel]:
    with GatedModel() as server:
        yield server


@pytest.fixture(scope="module")
def shared_place() -> Iterator[AgentPlace]:
    made = AgentPlace()
    yield made
    made.close()


@pytest.fixture
def place(shared_place: AgentPlace, model: GatedModel) -> Iterator[AgentPlace]:
    """A place whose daemon serves all tests of the module; the model is this test's own."""
    shared_place.use(model.url)
    yield shared_place
    shared_place.end_clients()


@pytest.fixture
def own_place(model: GatedModel) -> Iterator[AgentPlace]:
    """A place whose daemon the test may kill."""
    made = AgentPlace()
    made.use(model.url)
    yield made
    made.close()
