"""What this daemon can do, as the public contract names it."""

from typing import Literal

from typing_extensions import TypedDict

from .base import Params


class ContractVersion(TypedDict):
    major: int
    minor: int
    patch: int


class CapabilitiesGet(Params):
    """`capabilities/get`."""


class Capability(TypedDict):
    id: str
    description: str
    status: Literal["Available"]


class Capabilities(TypedDict):
    """Result of `capabilities/get`: what is here and works; what is not listed is not there."""

    contract_version: ContractVersion
    capabilities: list[Capability]
