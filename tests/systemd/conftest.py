"""One manager for all of these tests, in their order: installed first, uninstalled last."""

from collections.abc import Iterator

import pytest
from tests.support.gated_model import GatedModel
from tests.systemd.user_manager import UserManager, why_not


@pytest.fixture(scope="session")
def manager() -> Iterator[UserManager]:
    missing = why_not()
    if missing is not None:
        pytest.fail(f"systemd cannot be run here, so nothing of this is known to work: {missing}", pytrace=False)
    with GatedModel() as model, UserManager(model_url=model.url) as made:
        yield made


@pytest.fixture
def installed(manager: UserManager) -> UserManager:
    """The daemon as a service, as `rkat daemon install` makes it, at rest and without a past."""
    manager.ok("rkat daemon install --yes")
    manager.ok("systemctl --user stop meerkatd.service; rm -rf ~/.config/systemd/user/meerkatd.service.d")
    manager.ok("rm -f ~/.local/share/meerkat/crashes.json; systemctl --user daemon-reload")
    return manager
