"""The agents' door: what a test asks of the daemon goes through `rkat-mcp` as calls of its tools.

The shim runs in the test's process, between two pipes, with its real connection to the daemon's socket; lines on the
pipes are written and read by the standard library. So a mistake in the SDK's client and server does not cancel out.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from meerkat_client.options import ConnectOptions
from meerkat_client.wire.codes import TABLE
from rkat_shims.mcp.options import Options
from rkat_shims.mcp.server import serve

# The daemon's method -> the tool, where both take the same.
TOOLS = {
    "blob/get": "meerkat_blob_get",
    "capabilities/get": "meerkat_capabilities",
    "config/schema": "meerkat_config_schema",
    "mcp/add": "meerkat_mcp_add",
    "mcp/list": "meerkat_mcp_list",
    "mcp/reload": "meerkat_mcp_reload",
    "mcp/remove": "meerkat_mcp_remove",
    "models/catalog": "meerkat_models_catalog",
    "realm/current": "meerkat_realm",
    "realm/list": "meerkat_realms",
    "session/compact": "meerkat_compact",
    "session/archive": "meerkat_archive",
    "session/create": "meerkat_run",
    "session/external_event": "meerkat_external_event",
    "session/fork_at": "meerkat_fork",
    "session/history": "meerkat_history",
    "session/inject_context": "meerkat_inject_context",
    "session/label": "meerkat_label",
    "session/list": "meerkat_sessions",
    "session/read": "meerkat_read",
    "session/stream_close": "meerkat_event_stream_close",
    "session/stream_open": "meerkat_event_stream_open",
    "session/unarchive": "meerkat_unarchive",
    "usage/read": "meerkat_usage",
    "turn/interrupt": "meerkat_interrupt",
    "turn/read": "meerkat_turn",
    "turn/start": "meerkat_resume",
}
OPTIONS = {"realm_id": "realm", "instance_id": "instance", "backend": "backend", "isolated": "isolated"}


class Running(Options):
    """Options that start no daemon: there is one in this process, and another would hide a mistake."""

    @property
    def connect(self) -> ConnectOptions:
        return {**super().connect, "start": False}


class McpDoor:
    """`surfaces.Door` over the tools."""

    def __init__(self, state_root: str, nursery: trio.Nursery) -> None:
        self._state_root = state_root
        self._nursery = nursery
        self._send_in, self._receive_in = trio.open_memory_channel[dict[str, Any]](1000)
        self._sends: trio.lowlevel.FdStream | None = None
        self._methods: dict[int, tuple[str, dict[str, Any]]] = {}
        self._sending = trio.Lock()
        self._own_ids = 1_000_000
        self._own: dict[int, tuple[trio.Event, list[Any]]] = {}

    async def send(self, message: dict[str, Any]) -> None:
        method, params = message["method"], dict(message["params"])
        if method == "initialize":
            await self._begin(message["id"], params)
            return
        self._methods[message["id"]] = method, params
        await self._call(message["id"], *_tool(method, params))

    async def receive(self) -> dict[str, Any]:
        try:
            return await self._receive_in.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def end(self) -> None:
        """As a client that ends: it closes its end."""
        if self._sends is not None:
            await self._sends.aclose()

    async def _begin(self, request_id: int, params: dict[str, Any]) -> None:
        name = params.pop("client", {"name": "test"})["name"]
        given = {OPTIONS[option]: value for option, value in params.items()}
        read_in, write_in = os.pipe()
        read_out, write_out = os.pipe()
        self._sends, receives = trio.lowlevel.FdStream(write_in), trio.lowlevel.FdStream(read_out)

        async def run() -> None:
            try:
                await serve(
                    Running(state_root=self._state_root, expose_paths=True, **given), stdin=read_in, stdout=write_out
                )
            finally:
                os.close(read_in)
                os.close(write_out)

        self._nursery.start_soon(run)
        self._nursery.start_soon(self._read, receives)
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}}
        await self._line({"id": request_id, "method": "initialize", "params": hello})
        await self._line({"method": "notifications/initialized"})

    async def _call(self, request_id: int, tool: str, arguments: dict[str, Any]) -> None:
        await self._line({"id": request_id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})

    async def _line(self, message: dict[str, Any]) -> None:
        assert self._sends is not None, "it begins with initialize"
        async with self._sending:
            await self._sends.send_all(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def _read(self, receives: trio.lowlevel.FdStream) -> None:
        buffer = b""
        async with receives, self._send_in:
            async for data in receives:
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    await self._take(json.loads(line))

    async def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            await self._send_in.send({"method": message["method"], "params": message.get("params")})
            return
        result = message.get("result", {})
        if message["id"] in self._own:
            event, slot = self._own.pop(message["id"])
            slot.append(result["structuredContent"])
            event.set()
            return
        reply = {"id": message["id"], **_outcome(message)}
        method, _ = self._methods.pop(message["id"], ("", {}))
        if method == "events/latest_cursor" and "result" in reply:
            reply["result"]["cursor"] = reply["result"]["latest_cursor"]
        await self._send_in.send(reply)
        if method == "session/stream_open" and "result" in reply:
            self._nursery.start_soon(self._follow, reply["result"])

    async def _follow(self, opened: dict[str, Any]) -> None:
        """Read the stream as an agent would, and tell what comes as the daemon does."""
        stream, sequence = {key: opened[key] for key in ("stream_id", "session_id")}, 0
        while True:
            self._own_ids += 1
            event, slot = self._own[self._own_ids] = trio.Event(), []
            asked = {"stream_id": opened["stream_id"], "no_timeout": True}
            try:
                await self._call(self._own_ids, "meerkat_event_stream_read", asked)
            except trio.ClosedResourceError:
                return
            await event.wait()
            if slot[0].get("status") != "event":
                break
            sequence += 1
            told = {**stream, "sequence": sequence, "event": slot[0]["event"]}
            await self._send_in.send({"method": "session/stream_event", "params": told})
        end = {**stream, "ended": True, "outcome": slot[0].get("outcome", "terminal_error")}
        await self._send_in.send({"method": "session/stream_end", "params": end})


def _tool(method: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The call of a tool that is a request of the daemon."""
    # Events of a turn are progress here, for those who ask for it.
    params.pop("session_events", None)
    if method in ("config/get", "config/set", "config/patch"):
        return "meerkat_config", {"action": method.removeprefix("config/"), **params}
    if method in ("events/list_since", "events/latest_cursor"):
        return _events(method, params)
    return TOOLS[method], params


def _events(method: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    page = {name: params[name] for name in ("limit",) if name in params}
    if "cursor" in params:
        page["cursor"] = params["cursor"]["sequence"]
    return "meerkat_events", {"session_id": params["scope"]["session_id"], **page}


def _outcome(message: dict[str, Any]) -> dict[str, Any]:
    """A reply of the daemon that is the tool's."""
    if "error" in message:
        return {"error": message["error"]}
    result = message["result"]
    shown = result.get("structuredContent", result)
    if not result.get("isError"):
        return {"result": shown}
    code = shown["code"]
    details = {**shown["details"], "hint": shown["hint"], "retryable": shown["retryable"]}
    data = {"code": code, "message": shown["message"], "details": details}
    return {"error": {"code": TABLE[code].rpc, "message": shown["message"], "data": data}}


@asynccontextmanager
async def open_mcp_door(state_root: str) -> AsyncIterator[McpDoor]:
    """A door of the daemon of `state_root`. Its shim ends with the block, as it does when its client ends."""
    async with trio.open_nursery() as nursery:
        door = McpDoor(state_root, nursery)
        try:
            yield door
        finally:
            with trio.CancelScope(shield=True):
                await door.end()
