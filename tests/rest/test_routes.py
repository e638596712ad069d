"""The table of routes leaves out nothing of the daemon."""

from meerkatd.contract.methods import NAMES
from rkat_shims.rest.routes import NOT_OVER_REST, ROUTES


def test_every_method_of_the_daemon_has_an_address_or_a_reason_why_not() -> None:
    over = [route.method for route in ROUTES]
    assert len(over) == len(set(over))
    assert not set(over) & set(NOT_OVER_REST)
    assert {*over, *NOT_OVER_REST} == set(NAMES)
