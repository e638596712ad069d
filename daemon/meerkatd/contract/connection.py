"""The first request of every connection."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from .base import Params, ShortText, Text

# Three numbers; their size keeps them what everybody's integers can hold.
CONTRACT_VERSION_PATTERN = r"^[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}$"

BackendName = Literal["sqlite", "jsonl", "redb", "memory"]


class ClientInfo(Params):
    """Who calls. Shown to others as the holder of a turn; never a source of authority."""

    name: ShortText
    version: ShortText
    surface: ShortText
    pid: Annotated[int, Field(ge=0)] | None = None


class ProtocolRange(Params):
    min: Annotated[int, Field(ge=1)]
    max: Annotated[int, Field(ge=1)]


class ProviderCredentials(Params):
    """Keys live in memory only, for turns of this connection, and are never shown again."""

    api_key: Text | None = Field(None, repr=False)
    base_url: Text | None = None


class Initialize(Params):
    """`initialize`: who calls, and the realm that this connection is bound to.

    At most one of `realm_id`, `workspace` and `isolated`; none of them means a fresh realm of its own.
    """

    client: ClientInfo | None = None
    protocol: ProtocolRange | None = None
    realm_id: Text | None = None
    workspace: Text | None = Field(None, description="A folder; its realm id is derived from the canonical path.")
    isolated: bool = False
    instance_id: ShortText | None = None
    backend: BackendName | None = Field(None, description="A hint for a realm that does not exist yet.")
    credentials: dict[ShortText, ProviderCredentials] | None = None
    contract_version: Annotated[Text, StringConstraints(pattern=CONTRACT_VERSION_PATTERN)] | None = Field(
        None,
        description="Speak this version of the public contract, with its kinds of events and no others; below 0.6, "
        "events come in the form of that time.",
    )


class ServerInfo(TypedDict):
    name: str
    version: str
    build: NotRequired[str]


class Limits(TypedDict):
    """What a connection has to keep to: bytes of a message, levels of nesting, requests that are unanswered."""

    request_bytes: int
    reply_bytes: int
    depth: int
    in_flight: int


class Initialized(TypedDict):
    """Result of `initialize`."""

    server_info: ServerInfo
    contract_version: str
    protocol: dict[str, int]
    methods: list[str]
    pid: int
    realm_id: str
    origin: str
    instance_id: NotRequired[str]
    backend: NotRequired[str]
    state_root: str
    limits: Limits
