"""The daemon itself: is it well, what does it hold, a door for the web, and the request to stop."""

import re
from typing import Annotated, Literal, NamedTuple, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from .base import Params, ShortText
from .finding import Finding

# A page is loaded from one place, in development from a few.
MAX_ORIGINS = 16

_ADDRESS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\]):([0-9]{1,5})")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


class Address(NamedTuple):
    host: str
    port: int


def parse_address(text: str) -> Address:
    """A loopback address. Raises ValueError with the rule."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[2]) > 65535:
        raise ValueError("must be 127.0.0.1:PORT, localhost:PORT or [::1]:PORT, with PORT 0 for any that is free")
    host = "127.0.0.1" if match[1] == "localhost" else match[1].strip("[]")
    return Address(host, int(match[2]))


def _address(text: str) -> str:
    parse_address(text)
    return text


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError("must be an origin as browsers spell it, such as http://localhost:5173")
    return text


class DaemonStatusParams(Params):
    """`daemon/status`."""


class DaemonStop(Params):
    """`daemon/stop`: take no new work, let turns end up to a deadline, commit, exit."""

    deadline_seconds: Annotated[float, Field(ge=0, le=3600)] | None = Field(
        None, description="How long running turns may go on; they are interrupted and committed then."
    )


class DaemonListen(Params):
    """`daemon/listen`: open a door on loopback TCP, for as long as this connection is there."""

    address: Annotated[ShortText, AfterValidator(_address)] = Field(
        "127.0.0.1:0", description="Loopback only; port 0 for any that is free."
    )
    origins: Annotated[list[Annotated[ShortText, AfterValidator(_origin)]], Field(max_length=MAX_ORIGINS)] = Field(
        [], description="Web pages of these origins may connect, and no others."
    )


class DaemonRestart(Params):
    """`daemon/restart`: go on with the program that is installed now, in the same process and behind the same socket.

    Turns end first, up to a deadline; then they are interrupted and committed. New ones wait for the next program.
    """

    deadline_seconds: Annotated[float, Field(ge=0, le=3600)] | None = Field(
        None, description="How long running turns may go on; they are interrupted and committed then."
    )
    program: Annotated[str, Field(min_length=2, max_length=4096, pattern="^/")] | None = Field(
        None, description="The Python whose meerkatd is to go on; the one that runs this daemon when absent."
    )
    environment: Annotated[dict[ShortText, str], Field(max_length=200)] | None = Field(
        None,
        repr=False,
        description="Variables that the next program is to see, as far as a daemon is given any; absent: those of now.",
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
    doors: list[str]
    open_realms: int
    active_turns: int
    event_streams: int
    build: str
    restarts: int
    managed: bool
    safe_mode: bool
    metrics_url: NotRequired[str]
    sqlite_version: NotRequired[str]


class DaemonListening(TypedDict):
    """Result of `daemon/listen`. `token_path` is the file with the token that is to be shown at `url`."""

    url: str
    token_path: str
    origins: list[str]


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


class DaemonRestarting(TypedDict):
    """Result of `daemon/restart`; the connection closes when the last turn has ended."""

    restarting: bool
    pid: int
    version: str
    active_turns: int
    deadline_seconds: float


class DaemonLeaving(TypedDict):
    """The notification `daemon/leaving`, the last one of a connection. What was begun is still answered; a request that
    comes later is refused with SHUTTING_DOWN, or is not answered at all. After `restart` the same socket is served
    again at once; after `stop` somebody wanted the daemon gone, so only a request should start another one."""

    reason: Literal["stop", "restart", "idle"]
