"""The daemon itself: status, examination, doors, stop."""

import logging
import os
from typing import Literal

import apsw
import psutil

from meerkat_client._dial import daemon_environment
from meerkat_client.wire.version import CONTRACT_VERSION, VERSION

from ..contract.daemon import (
    DaemonExamine,
    DaemonExamined,
    DaemonListen,
    DaemonListening,
    DaemonRestart,
    DaemonRestarting,
    DaemonStatus,
    DaemonStatusParams,
    DaemonStop,
    DaemonStopping,
    ProcessFacts,
    parse_address,
)
from ..doctor.examine import examine_daemon
from ..errors import ShuttingDown
from ..lifecycle.departure import Departure
from ..lifecycle.succession import probe
from ..protocol.port import Call
from ..sessions.clock import boot_seconds
from .context import Context

log = logging.getLogger(__name__)


async def status(context: Context, params: DaemonStatusParams, call: Call) -> DaemonStatus:
    services = context.services
    settings = services.settings
    shape: DaemonStatus = {
        "version": VERSION,
        "contract_version": CONTRACT_VERSION,
        "state": _state(services.departure),
        "process": process_facts(),
        "uptime_seconds": round(boot_seconds() - services.started, 3),
        "socket_path": str(settings.socket_path),
        "state_root": str(settings.state_root),
        "log_path": str(settings.log_path),
        "connections": services.connections() + services.doors.connections,
        "doors": sorted(services.doors.urls),
        "open_realms": services.registry.open_realms,
        "active_turns": services.registry.active_turns,
        "event_streams": services.registry.readers,
        "build": services.build,
        "restarts": services.restarts,
        "managed": services.managed,
        "safe_mode": services.safe_mode is not None,
        "sqlite_version": apsw.sqlite_lib_version(),
    }
    metrics = services.metrics_url()
    if metrics is not None:
        shape["metrics_url"] = metrics
    return shape


async def examine(context: Context, params: DaemonExamine, call: Call) -> DaemonExamined:
    return {
        "findings": await examine_daemon(
            context.services.registry,
            state_root=context.services.settings.state_root,
            realm=context.realm,
            credentials=context.credentials,
            providers=params.providers,
        )
    }


async def listen(context: Context, params: DaemonListen, call: Call) -> DaemonListening:
    host, port = parse_address(params.address)
    door = context.services.doors.open(host, port, origins=params.origins)
    context.doors.append(door)
    return {"url": door.url, "token_path": door.token_path, "origins": list(params.origins)}


async def stop(context: Context, params: DaemonStop, call: Call) -> DaemonStopping:
    active = context.services.registry.active_turns
    deadline = context.services.departure.ask("stop", deadline=params.deadline_seconds)
    log.info("asked to stop", extra={"deadline_seconds": deadline, "connection": context.peer.name})
    return {"stopping": True, "pid": os.getpid(), "active_turns": active, "deadline_seconds": deadline}


async def restart(context: Context, params: DaemonRestart, call: Call) -> DaemonRestarting:
    departure = context.services.departure
    if departure.asked and not departure.is_restart:
        raise ShuttingDown("The daemon is leaving already.", details={"restarting": False})
    version = await probe(params.program)
    active = context.services.registry.active_turns
    if params.environment is not None:
        departure.environment = daemon_environment(params.environment)
    deadline = departure.ask("restart", deadline=params.deadline_seconds, program=params.program)
    log.info("asked to restart", extra={"deadline_seconds": deadline, "connection": context.peer.name})
    return {
        "restarting": departure.is_restart,
        "pid": os.getpid(),
        "version": version,
        "active_turns": active,
        "deadline_seconds": deadline,
    }


def _state(departure: Departure) -> Literal["running", "stopping", "restarting"]:
    if not departure.asked:
        return "running"
    return "restarting" if departure.is_restart else "stopping"


def process_facts() -> ProcessFacts:
    """This process as the operating system sees it."""
    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        return {
            "pid": process.pid,
            "started_at": int(process.create_time()),
            "rss_bytes": process.memory_info().rss,
            "cpu_seconds": times.user + times.system,
            "open_files": process.num_fds(),
            "threads": process.num_threads(),
            "children": [{"pid": child.pid, "name": child.name()} for child in process.children(recursive=True)],
        }
