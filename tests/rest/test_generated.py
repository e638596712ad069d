"""What is generated from the table of routes is up to date, and the table leaves out nothing of the daemon."""

from meerkatd.contract.methods import NAMES
from rkat_shims.rest import emit
from rkat_shims.rest.routes import NOT_OVER_REST, ROUTES


def test_every_method_of_the_daemon_has_an_address_or_a_reason_why_not() -> None:
    over = [route.method for route in ROUTES]
    assert len(over) == len(set(over))
    assert not set(over) & set(NOT_OVER_REST)
    assert {*over, *NOT_OVER_REST} == set(NAMES)


def test_the_openapi_document_and_the_reference_are_up_to_date() -> None:
    assert emit.stale() == []
