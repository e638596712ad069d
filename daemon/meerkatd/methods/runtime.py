"""The daemon as a host: what it is, what it has, and whether it is well."""

import os
from collections.abc import Sequence
from typing import Any, cast

import trio

from meerkat_client.wire.version import VERSION

from ..contract.runtime import (
    Health,
    RuntimeCapabilities,
    RuntimeCapabilitiesParams,
    RuntimeChecks,
    RuntimeFeatures,
    RuntimeHealth,
    RuntimeHealthParams,
    RuntimeHostInfo,
    RuntimeHostInfoParams,
)
from ..errors import MeerkatError
from ..protocol.port import Call
from ..realms.realm import Realm
from .context import Context

_MIB = 1024 * 1024
# Room for some thousand turns; a person should look before it is used up.
DISK_DEGRADED_BYTES = 256 * _MIB
# The log of a busy realm alone may need this much between two of its foldings.
DISK_UNHEALTHY_BYTES = 16 * _MIB
# A look into an open store takes less than a millisecond; a disk that needs longer than this stalls every turn.
STORE_PROBE_SECONDS = 2.0

FEATURES: RuntimeFeatures = {
    "runtime_backed_sessions": True,
    "mobs": False,
    "mcp_live": True,
    "comms": False,
    "blobs": True,
    "session_events": True,
    "session_streams": True,
    "schedules": False,
    "skills": False,
    "event_replay": True,
    "artifacts": False,
    "approvals": True,
    "external_members": False,
    "secure_remote_rpc": False,
    "multi_host_mobs": False,
    "durable_jobs": False,
}
_WORST_FIRST: Sequence[Health] = ("unhealthy", "degraded", "ok")


async def capabilities(context: Context, params: RuntimeCapabilitiesParams, call: Call) -> RuntimeCapabilities:
    return _capabilities(context)


async def health(context: Context, params: RuntimeHealthParams, call: Call) -> RuntimeHealth:
    return await _health(context)


async def host_info(context: Context, params: RuntimeHostInfoParams, call: Call) -> RuntimeHostInfo:
    return {
        "contract_version": context.contract_numbers,
        # The pid alone comes back sooner or later.
        "host_id": f"meerkatd-{os.getpid()}-{context.services.started_ms}",
        "host_id_scope": "process",
        "process_name": "meerkatd",
        "process_version": VERSION,
        "capabilities": _capabilities(context),
        "health": await _health(context),
        "realm": context.realm.info(),
        "endpoints": {
            "unix_socket": context.services.settings.socket_path,
            "live_ws": sorted(context.services.doors.urls),
        },
    }


def _capabilities(context: Context) -> RuntimeCapabilities:
    return {"contract_version": context.contract_numbers, "features": FEATURES}


async def _health(context: Context) -> RuntimeHealth:
    checks: RuntimeChecks = {
        "disk": await _disk(context.services.settings.state_root),
        "state": "degraded" if context.services.departure.asked else "ok",
        "config": "ok" if context.realm.settings.get().problem is None else "degraded",
    }
    if context.realm.is_open:
        checks["store"] = await _store(context.realm)
    found = set(cast(dict[str, Any], checks).values())
    return {
        "contract_version": context.contract_numbers,
        "status": next(grade for grade in _WORST_FIRST if grade in found),
        "checks": checks,
    }


async def _disk(folder: str) -> Health:
    try:
        # In a thread: the state root may be on a file system that answers late or never.
        room = await trio.to_thread.run_sync(os.statvfs, folder, abandon_on_cancel=True)
    except OSError:
        return "unhealthy"
    free = room.f_bavail * room.f_frsize
    return "unhealthy" if free < DISK_UNHEALTHY_BYTES else "degraded" if free < DISK_DEGRADED_BYTES else "ok"


async def _store(realm: Realm) -> Health:
    try:
        with trio.fail_after(STORE_PROBE_SECONDS):
            await realm.sessions.list(offset=0, limit=1, include_archived=True, labels={})
    except trio.TooSlowError:
        return "degraded"
    except MeerkatError:
        return "unhealthy"
    return "ok"
