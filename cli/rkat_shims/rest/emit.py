"""What is generated from the table of routes and the contract, by `python -m meerkatd.contract.emit`."""

from collections.abc import Callable

from . import openapi, pages

FILES: dict[str, Callable[[], str]] = {
    "docs/reference/openapi.json": openapi.text,
    "docs/reference/rest.md": pages.markdown,
}
