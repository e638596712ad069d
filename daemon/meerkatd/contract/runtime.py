"""The daemon as a host of sessions: what it is, what it has, and whether it is well."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from .base import Params
from .capability import ContractVersion
from .realm import RealmInfo

Health = Literal["ok", "degraded", "unhealthy"]


class RuntimeHostInfoParams(Params):
    """`runtime/host_info`."""


class RuntimeCapabilitiesParams(Params):
    """`runtime/capabilities`."""


class RuntimeHealthParams(Params):
    """`runtime/health`."""


class RuntimeFeatures(TypedDict):
    """Features of the public contract; true means that it is here and works."""

    runtime_backed_sessions: bool
    mobs: bool
    mcp_live: bool
    comms: bool
    blobs: bool
    session_events: bool
    session_streams: bool
    schedules: bool
    skills: bool
    event_replay: bool
    artifacts: bool
    approvals: bool
    external_members: bool
    secure_remote_rpc: bool
    multi_host_mobs: bool
    durable_jobs: bool


class RuntimeCapabilities(TypedDict):
    """Result of `runtime/capabilities`."""

    contract_version: ContractVersion
    features: RuntimeFeatures


class RuntimeChecks(TypedDict):
    """`store` is absent while the realm is closed: it is not opened only to be looked at."""

    disk: Health
    state: Health
    config: Health
    store: NotRequired[Health]


class RuntimeHealth(TypedDict):
    """Result of `runtime/health`. `status` is the worst of the checks."""

    contract_version: ContractVersion
    status: Health
    checks: RuntimeChecks


class RuntimeEndpoints(TypedDict):
    """`live_ws` has the doors on loopback TCP that clients have opened."""

    unix_socket: str
    live_ws: list[str]


class RuntimeHostInfo(TypedDict):
    """Result of `runtime/host_info`. `host_id` names this process and no other one."""

    contract_version: ContractVersion
    host_id: str
    host_id_scope: Literal["process"]
    process_name: str
    process_version: str
    capabilities: RuntimeCapabilities
    health: RuntimeHealth
    realm: RealmInfo
    endpoints: RuntimeEndpoints
