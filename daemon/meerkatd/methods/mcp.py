"""MCP servers: those of a session beside the config's, and how all of them stand."""

from collections.abc import Mapping
from typing import Any

from ..agent.tools.mcp.spec import ServerSpec, tool_name
from ..contract.mcp import McpAdd, McpChanged, McpList, McpReload, McpRemove, McpServerInfo, McpServers
from ..errors import InvalidParams
from ..protocol.port import Call
from ..realms.config.write import from_mcp_server
from ..sessions.servers import Servers
from .context import Context


async def add(context: Context, params: McpAdd, call: Call) -> McpChanged:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    config = params.server_config.model_dump(exclude={"name"}, exclude_defaults=True)
    if params.persisted:
        await _write(context, params.name, config)
        await sessions.change_servers(session_id, lambda servers: _without(servers, params.name))
    else:
        await sessions.change_servers(session_id, lambda servers: {**servers, params.name: config})
    return _changed(session_id, "add", params.name, persisted=params.persisted)


async def remove(context: Context, params: McpRemove, call: Call) -> McpChanged:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    name = params.server_name
    configured = name in context.realm.agents.servers.configured()

    def take(servers: Servers) -> Servers:
        if servers.get(name) is None and (name in servers or not configured):
            raise _no_server(name)
        # One of the config stays there, and the session does without it.
        rest = _without(servers, name)
        return {**rest, name: None} if configured and not params.persisted else rest

    await sessions.change_servers(session_id, take)
    if params.persisted and configured:
        await _write(context, name, None)
    return _changed(session_id, "remove", name, persisted=params.persisted)


async def reload(context: Context, params: McpReload, call: Call) -> McpChanged:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    own, workspace = await sessions.servers(session_id)
    servers = _all(context, own)
    if params.server_name is not None and params.server_name not in servers:
        raise _no_server(params.server_name)
    for name in servers if params.server_name is None else [params.server_name]:
        running = context.realm.agents.servers.running(servers[name], workspace=workspace)
        if running is not None:
            running.restart()
    return _changed(session_id, "reload", params.server_name, persisted=False)


async def list_servers(context: Context, params: McpList, call: Call) -> McpServers:
    own: Mapping[str, ServerSpec | None] = {}
    workspace = context.workspace
    if params.session_id is not None:
        sessions = context.realm.sessions
        own, workspace = await sessions.servers(await sessions.resolve(params.session_id))
    return {"servers": [_info(context, spec, workspace, own=name in own) for name, spec in _all(context, own).items()]}


def _all(context: Context, own: Mapping[str, ServerSpec | None]) -> dict[str, ServerSpec]:
    merged = {**context.realm.agents.servers.configured(), **own}
    return {name: spec for name, spec in merged.items() if spec is not None}


def _info(context: Context, spec: ServerSpec, workspace: str | None, *, own: bool) -> McpServerInfo:
    server = context.realm.agents.servers.running(spec, workspace=workspace)
    info: McpServerInfo = {
        "name": spec.name,
        "origin": "session" if own else "config",
        "state": server.state if server is not None else "stopped",
        "tools": [tool_name(spec.name, tool.name) for tool in server.tools] if server is not None else [],
    }
    if server is not None and server.problem is not None:
        info["problem"] = server.problem
    return info


async def _write(context: Context, name: str, config: dict[str, Any] | None) -> None:
    change = from_mcp_server(name, config)
    await context.realm.config.write(change, expected=None, keyed=None, where="server_config", mend=False)


def _without(servers: Servers, name: str) -> Servers:
    return {key: value for key, value in servers.items() if key != name}


def _no_server(name: str) -> InvalidParams:
    return InvalidParams(
        f"server_name: the session has no MCP server {name!r}.",
        details={"field": "server_name"},
        hint="mcp/list tells which it has.",
    )


def _changed(session_id: str, operation: str, name: str | None, *, persisted: bool) -> McpChanged:
    changed: McpChanged = {
        "session_id": session_id,
        "operation": operation,  # type: ignore[typeddict-item]
        "status": "staged",
        "persisted": persisted,
    }
    if name is not None:
        changed["server_name"] = name
    return changed
