"""The daemon itself: is it well, what does it hold, and the request to stop."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from .base import Params
from .finding import Finding


class DaemonStatusParams(Params):
    """`daemon/status`."""


class DaemonStop(Params):
    """`daemon/stop`: take no new work, let turns end up to a deadline, commit, exit."""

    deadline_seconds: Annotated[float, Field(ge=0, le=3600)] | None = Field(
        None, description="How long running turns may go on; they are interrupted and committed then."
    )


class ProcessFacts(TypedDict):
    pid: int
    started_at: int
    rss_bytes: int
    cpu_seconds: float
    open_files: int
    threads: int
    children: list[dict[str, int | str]]


class DaemonStatus(TypedDict):
    """Result of `daemon/status`."""

    version: str
    contract_version: str
    state: Literal["running", "stopping", "restarting"]
    process: ProcessFacts
    uptime_seconds: float
    socket_path: str
    state_root: str
    log_path: str
    connections: int
    open_realms: int
    active_turns: int
    event_streams: int
    metrics_url: NotRequired[str]
    sqlite_version: NotRequired[str]


class DaemonStopping(TypedDict):
    """Result of `daemon/stop`; the connection closes when the daemon has ended."""

    stopping: bool
    pid: int
    active_turns: int
    deadline_seconds: float


class DaemonExamine(Params):
    """`daemon/examine`: look at what the daemon depends on: the disk, the realms' files, the providers."""

    providers: bool = Field(
        True, description="Also ask each provider that has a key for its models; takes up to 5 seconds, costs nothing."
    )


class DaemonExamined(TypedDict):
    """Result of `daemon/examine`: what is well, too."""

    findings: list[Finding]


class DaemonLeaving(TypedDict):
    """The notification `daemon/leaving`, the last one of a connection. What was begun is still answered; a request that
    comes later is refused with SHUTTING_DOWN, or is not answered at all. After `restart` the same socket is served
    again at once; after `stop` somebody wanted the daemon gone, so only a request should start another one."""

    reason: Literal["stop", "restart", "idle"]
