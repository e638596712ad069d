"""`initialize`: who calls, and to which realm the connection is bound."""

import logging
import os

from meerkat_client.wire import limits
from meerkat_client.wire.version import CONTRACT_VERSION, PROTOCOL_MAX, PROTOCOL_MIN, VERSION

from ..agent.credentials import Credentials
from ..contract.connection import Initialize, Initialized, Limits
from ..contract.methods import NAMES
from ..errors import InvalidParams, InvalidRequest, MeerkatError, VersionMismatch
from ..ids import RealmId, generated_realm_id, parse_realm_id, workspace_realm_id
from ..lifecycle.departure import Departure
from ..lifecycle.succession import numbers, probe
from ..protocol.port import Call
from ..realms.manifest import Origin
from ..realms.realm import Realm
from .context import Context

log = logging.getLogger(__name__)


async def initialize(context: Context, params: Initialize, call: Call) -> Initialized:
    if context.bound is not None:
        raise InvalidRequest("This connection is initialized already.")
    if params.protocol is not None and not (
        params.protocol.min <= PROTOCOL_MAX and params.protocol.max >= PROTOCOL_MIN
    ):
        newer = params.protocol.min > PROTOCOL_MAX
        raise VersionMismatch(
            f"The client speaks protocol {params.protocol.min} to {params.protocol.max}, "
            f"this daemon ({VERSION}) {PROTOCOL_MIN} to {PROTOCOL_MAX}.",
            details={
                "daemon_version": VERSION,
                "protocol": {"min": PROTOCOL_MIN, "max": PROTOCOL_MAX},
                "restarting": newer and context.peer.local and await _makes_way(context.services.departure),
            },
        )
    credentials = Credentials.parse(
        {name: access.model_dump(exclude_none=True) for name, access in (params.credentials or {}).items()}
    )
    realm_id, origin = _realm_of(params)
    safe_mode = context.services.safe_mode is not None
    # In safe mode the realm's folder is not even looked at.
    bind = context.services.registry.bind_unseen if safe_mode else context.services.registry.bind
    realm = bind(realm_id, origin=origin, hint=params.backend)
    context.bound = realm
    context.credentials = credentials
    context.instance_id = params.instance_id
    context.workspace = _folder(params.workspace)
    context.contract_version = params.contract_version or CONTRACT_VERSION
    context.public_events = params.contract_version is not None
    if params.client is not None:
        context.client = params.client.model_dump(exclude_none=True)
    answer = _answer(context, params, realm)
    if not safe_mode:
        context.services.preload()
        info = realm.info()
        answer["origin"] = info["origin"]
        if "backend" in info:
            answer["backend"] = info["backend"]
    return answer


async def _makes_way(departure: Departure) -> bool:
    """Whether this daemon makes way for a newer one that is installed: a client that is too new for this one comes from
    somewhere. It then tries again, and finds the next program."""
    if not departure.asked:
        try:
            version = await probe(None)
        except MeerkatError as error:
            log.warning("a newer client came, and what is installed cannot be run", extra={"reason": error.message})
            return False
        if numbers(version) <= numbers(VERSION):
            return False
        log.info("making way for the installed program", extra={"installed_version": version})
        departure.ask("restart")
    return departure.is_restart


def _realm_of(params: Initialize) -> tuple[RealmId, Origin]:
    given = [
        name
        for name, value in (
            ("realm_id", params.realm_id),
            ("workspace", params.workspace),
            ("isolated", params.isolated),
        )
        if value
    ]
    if len(given) > 1:
        raise InvalidParams(
            f"{given[0]} and {given[1]} cannot be used together: a connection has one realm.",
            details={"field": given[1]},
        )
    if params.realm_id is not None:
        return parse_realm_id(params.realm_id), "explicit"
    if params.workspace is not None:
        if not os.path.isabs(params.workspace):
            raise InvalidParams("workspace: must be an absolute path.", details={"field": "workspace"})
        return workspace_realm_id(params.workspace), "workspace"
    return generated_realm_id(), "generated"


def _folder(workspace: str | None) -> str | None:
    """The workspace's folder. One that is gone still names its realm; there are just no files in it."""
    return os.path.realpath(workspace) if workspace is not None and os.path.isdir(workspace) else None


def _answer(context: Context, params: Initialize, realm: Realm) -> Initialized:
    answer: Initialized = {
        "server_info": {"name": "meerkatd", "version": VERSION, "build": context.services.build},
        "contract_version": context.contract_version,
        "protocol": {"min": PROTOCOL_MIN, "max": PROTOCOL_MAX},
        "methods": list(NAMES),
        "pid": os.getpid(),
        "realm_id": realm.realm_id,
        "origin": realm.origin,
        "state_root": str(context.services.settings.state_root),
        "limits": _LIMITS,
    }
    if params.instance_id is not None:
        answer["instance_id"] = params.instance_id
    return answer


_LIMITS: Limits = {
    "request_bytes": limits.MAX_REQUEST_FRAME,
    "reply_bytes": limits.MAX_REPLY_FRAME,
    "depth": limits.MAX_DEPTH,
    "in_flight": limits.MAX_IN_FLIGHT,
}
