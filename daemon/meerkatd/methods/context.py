"""What a method knows: the daemon's services, and the connection that it serves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from meerkat_client.wire.version import CONTRACT_VERSION

from ..agent.credentials import Credentials
from ..contract.capability import ContractVersion
from ..contract.event import EventEnvelope
from ..contract.tool import ToolLevel
from ..contract.turn import Holder
from ..errors import InvalidRequest
from ..lifecycle.crashes import CrashLog
from ..lifecycle.departure import Departure
from ..protocol.port import Door, Doors, Peer, PeerGone, PeerRefused
from ..realms.backup import Backups
from ..realms.checking import Checks
from ..realms.converting import Conversions
from ..realms.exporting import Exports
from ..realms.realm import Realm
from ..realms.registry import Registry
from ..realms.removal import Removal
from ..sessions.clock import boot_seconds
from ..sessions.request import Caller
from ..settings import Settings
from . import web
from .older_events import SOURCE_OBJECTS_SINCE, older_envelope

# Kinds of events beside those of the public contract.
OUR_KINDS = frozenset(("approval_requested", "approval_decided"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The daemon, as the methods see it.

    Attributes:
        started_ms: Unix time in milliseconds.
        departure: whether and why the daemon is to leave; ask it to here.
        connections: how many there are.
        metrics_url: of the page for Prometheus; None while there is none.
        doors: opens ways in beside the Unix socket.
        started: when, on the clock of `boot_seconds`.
        restarts: how often this process went on with another program.
        build: of the program's files at its start.
        managed: whether a service manager looks after this process.
        safe_mode: the crashes for which no realm is opened; None when all is well.
        preload: told the model that a connection is likely to use, so that what it needs is loaded before it is asked.
    """

    settings: Settings
    registry: Registry
    removal: Removal
    backups: Backups
    exports: Exports
    conversions: Conversions
    checks: Checks
    started_ms: int
    departure: Departure
    connections: Callable[[], int]
    metrics_url: Callable[[], str | None]
    doors: Doors
    preload: Callable[[], None]
    started: float = field(default_factory=boot_seconds)
    restarts: int = 0
    build: str = ""
    managed: bool = False
    safe_mode: CrashLog | None = None


@dataclass(slots=True)
class Context:
    """One connection.

    Attributes:
        realm: bound by `initialize`.
        workspace: the folder of sessions that name none themselves, absolute and without links.
        public_events: it announced a version of the public contract itself, so it is told of that contract's events.
        contract_version: of the public contract, as it was announced to this connection.
        streams: open event streams by id, each with the function that closes it.
        closed_streams: ids of streams that are closed, newest last.
        watches: watches of the config by id, each with the function that ends it.
        doors: those that it has opened; they close with it.
    """

    services: Services
    peer: Peer
    bound: Realm | None = None
    client: dict[str, Any] = field(default_factory=dict)
    instance_id: str | None = None
    workspace: str | None = None
    contract_version: str = CONTRACT_VERSION
    public_events: bool = False
    credentials: Credentials = field(default_factory=Credentials)
    streams: dict[str, Callable[[], None]] = field(default_factory=dict)
    closed_streams: dict[str, None] = field(default_factory=dict)
    watches: dict[str, Callable[[], None]] = field(default_factory=dict)
    doors: list[Door] = field(default_factory=list)
    tool_host: "PeerToolHost | None" = None

    @property
    def realm(self) -> Realm:
        if self.bound is None:
            raise InvalidRequest("The first request of a connection must be initialize.")
        return self.bound

    @property
    def contract_numbers(self) -> ContractVersion:
        """`contract_version` as results carry it."""
        major, minor, patch = (int(part) for part in self.contract_version.split("."))
        return {"major": major, "minor": minor, "patch": patch}

    def tells(self, envelope: EventEnvelope) -> bool:
        """Whether this connection is told of an event: stock clients of the public contract end at a kind that it does
        not have."""
        return not self.public_events or envelope["payload"]["type"] not in OUR_KINDS

    def shown(self, envelope: EventEnvelope) -> dict[str, Any]:
        """An event in the form of this connection's contract version."""
        if tuple(self.contract_numbers.values()) < SOURCE_OBJECTS_SINCE:
            return older_envelope(envelope)
        return cast(dict[str, Any], envelope)

    @property
    def most_tools(self) -> ToolLevel:
        """The level above which no turn that this connection begins has built-in tools."""
        return "full" if self.peer.local else web.TOOL_LEVELS[-1]

    def caller(self) -> Caller:
        """Who asks. The pid is the kernel's word where it gives one."""
        holder: Holder = {
            "surface": self.client.get("surface", "unknown"),
            "client": self.client.get("name", "unknown"),
        }
        pid = self.client.get("pid") or self.peer.pid
        if pid:
            holder["pid"] = pid
        if self.instance_id is not None:
            holder["instance_id"] = self.instance_id
        return Caller(holder=holder, credentials=self.credentials)

    def ended(self) -> None:
        """The connection is gone."""
        for door in self.doors:
            door.close()
        if self.bound is None:
            return
        if self.tool_host is not None:
            self.bound.tools.withdraw(self.tool_host)
        self.services.registry.unbind(self.bound)


class PeerToolHost:
    """`agent.tools.callback.ToolHost` over a connection."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def execute(self, call_id: str, name: str, arguments: dict[str, Any], *, timeout: float) -> tuple[str, bool]:
        params = {"tool_use_id": call_id, "name": name, "arguments": arguments}
        try:
            reply = await self._peer.request("tool/execute", params, timeout=timeout)
        except PeerGone:
            raise ConnectionError from None
        except PeerRefused as refused:
            raise RuntimeError(str(refused)) from None
        return _tool_reply(reply)


def _tool_reply(reply: Any) -> tuple[str, bool]:
    """Content and is_error of a client's answer: text, or a list of text blocks as newer clients send it."""
    if not isinstance(reply, dict):
        raise RuntimeError("its answer is not an object")
    content = reply.get("content", "")
    if isinstance(content, list):
        texts = [block.get("text") for block in content if isinstance(block, dict)]
        known = [text for text in texts if isinstance(text, str)]
        content = "".join(known) if len(known) == len(content) else None
    if not isinstance(content, str):
        raise RuntimeError("its answer has content that is not text")
    return content, reply.get("is_error") is True
