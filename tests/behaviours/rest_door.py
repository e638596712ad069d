"""The web's door: what a test asks of the daemon goes through `rkat-rest` as requests of HTTP.

The shim runs in the test's process, with its real sockets on both sides. The client is h11 and the standard library, so
a mistake in the shim's halves does not cancel out. A method becomes the request of the table's line: names of the path,
then query or body.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import trio
from tests.rest.rest_kit import Reply, Rest, SseEvent, serving

from meerkat_client.errors import RkatError
from meerkat_client.options import ConnectOptions
from meerkat_client.wire.codes import TABLE
from rkat_shims.rest.routes import ROUTES, Route

BY_METHOD = {route.method: route for route in ROUTES}
# Of `initialize`, as the link's options spell it.
OPTIONS = {"backend": "realm_backend"}


class RestDoor:
    """`surfaces.Door` over HTTP."""

    def __init__(self, state_root: str, nursery: trio.Nursery) -> None:
        self._state_root = state_root
        self._nursery = nursery
        self._ending, self._ended = trio.Event(), trio.Event()
        self._send_in, self._receive_in = trio.open_memory_channel[dict[str, Any]](1000)
        self._rest: Rest | None = None
        self._streams: dict[str, trio.CancelScope] = {}

    async def send(self, message: dict[str, Any]) -> None:
        method, params = message["method"], dict(message.get("params") or {})
        if method == "initialize":
            await self._nursery.start(self._serve, message["id"], params)
        elif method == "cancel":
            await self._served.ask("POST", f"/requests/{params['request_id']}/cancel")
        elif method in ("session/stream_close", "config/unwatch"):
            open_one = self._streams.pop(params.get("stream_id") or params["watch_id"], None)
            if open_one is not None:
                open_one.cancel()
            await self._answer(message["id"], {"result": {**params, "closed": open_one is not None}})
        elif BY_METHOD[method].kind in ("events", "watch"):
            self._nursery.start_soon(self._follow, message["id"], BY_METHOD[method], params)
        else:
            self._nursery.start_soon(self._ask, message["id"], BY_METHOD[method], params)

    async def receive(self) -> dict[str, Any]:
        return await self._receive_in.receive()

    async def end(self) -> None:
        """As a shim that is ended by a signal."""
        self._ending.set()
        if self._rest is not None:
            await self._ended.wait()

    @property
    def _served(self) -> Rest:
        assert self._rest is not None, "it begins with initialize"
        return self._rest

    async def _serve(
        self, request_id: int, params: dict[str, Any], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        client = params.pop("client", {"name": "test"})
        options: Any = {OPTIONS.get(name, name): value for name, value in params.items()}
        connect: ConnectOptions = {**options, "name": client["name"]}
        try:
            async with serving(self._state_root, connect, expose_paths=True, allow_programs=True) as rest:
                self._rest = rest
                await self._answer(request_id, {"result": dict(rest.shim.calls.link.info)})
                task_status.started()
                await self._ending.wait()
        except RkatError as error:
            details = {**error.details, "hint": error.hint, "retryable": error.retryable}
            body = {"code": error.code, "message": error.message, "details": details}
            await self._answer(request_id, {"error": _error(body)})
            task_status.started()
        finally:
            self._ended.set()

    async def _ask(self, request_id: int, route: Route, params: dict[str, Any]) -> None:
        target, body, headers = _request(route, params)
        reply = await self._served.ask(route.verb, target, body, x_meerkat_request_id=str(request_id), **headers)
        await self._answer(request_id, _outcome(reply))

    async def _answer(self, request_id: int, outcome: dict[str, Any]) -> None:
        await self._send_in.send({"id": request_id, **outcome})

    async def _follow(self, request_id: int, route: Route, params: dict[str, Any]) -> None:
        """Read a stream, and tell what comes as the daemon does."""
        target, _, _ = _request(route, params)
        async with self._served.connected() as connection:
            head = await connection.ask("GET", target, self._served.headers())
        if head.status != 200:
            await self._ask(request_id, route, params)
            return
        stream_id = f"s{request_id}"
        with trio.CancelScope() as scope:
            self._streams[stream_id] = scope
            async with self._served.events(target) as events:
                first = await events.next()
                assert first is not None
                about = _about(route, stream_id, first)
                await self._answer(request_id, {"result": {**first.data, **about, "opened": True}})
                sequence = 0
                while (event := await events.next()) is not None:
                    sequence += 1
                    await self._send_in.send(_notification(route, about, event, sequence))


def _about(route: Route, stream_id: str, first: SseEvent) -> dict[str, Any]:
    if route.kind == "watch":
        return {"watch_id": stream_id, "realm_id": first.data["realm_id"]}
    return {"stream_id": stream_id, "session_id": first.data["session_id"]}


def _notification(route: Route, about: dict[str, Any], event: SseEvent, sequence: int) -> dict[str, Any]:
    if route.kind == "watch":
        if event.kind == "done":
            return {"method": "config/watch_end", "params": {**about, "outcome": "realm_deleted"}}
        return {"method": "config/changed", "params": {**about, **event.data}}
    if event.kind == "done":
        return {"method": "session/stream_end", "params": {**about, "ended": True, "outcome": "remote_end"}}
    assert (event.kind, event.id) == (event.data["payload"]["type"], str(event.data["seq"]))
    return {"method": "session/stream_event", "params": {**about, "sequence": sequence, "event": event.data}}


def _request(route: Route, params: dict[str, Any]) -> tuple[str, Any, dict[str, str]]:
    """Target, body and headers."""
    params.pop("session_events", None)
    if route.scoped:
        scope, cursor = params.pop("scope"), params.pop("cursor", None)
        params |= {"session_id": scope["session_id"], **({"cursor": cursor["sequence"]} if cursor else {})}
    path = route.path
    for name in [name for name in params if f"{{{name}}}" in path]:
        path = path.replace(f"{{{name}}}", quote(str(params.pop(name)), safe=""))
    if not route.uses_query:
        return path, params, {}
    headers = {"idempotency_key": params.pop("idempotency_key")} if "idempotency_key" in params else {}
    body = params.pop("payload", None) if route.kind == "webhook" else None
    pairs = [("label", f"{key}={value}") for key, value in (params.pop("labels", None) or {}).items()]
    for name, value in params.items():
        pairs += [
            (name, each if isinstance(each, str) else json.dumps(each))
            for each in (value if isinstance(value, list) else [value])
        ]
    return f"{path}?{urlencode(pairs)}" if pairs else path, body, headers


def _outcome(reply: Reply) -> dict[str, Any]:
    """A response as the daemon's reply. The status must be the table's."""
    if reply.status < 400:
        return {"result": {name: value for name, value in reply.json.items() if name != "queued"}}
    assert reply.status == TABLE[reply.code].http, reply
    return {"error": _error(reply.json)}


def _error(body: dict[str, Any]) -> dict[str, Any]:
    data = {name: body[name] for name in ("code", "message", "details")}
    return {"code": TABLE[body["code"]].rpc, "message": body["message"], "data": data}


@asynccontextmanager
async def open_rest_door(state_root: str) -> AsyncIterator[RestDoor]:
    """A door of the daemon of `state_root`. Its shim ends with the block, as it does by a signal."""
    async with trio.open_nursery() as nursery:
        door = RestDoor(state_root, nursery)
        try:
            yield door
        finally:
            with trio.CancelScope(shield=True):
                await door.end()
            nursery.cancel_scope.cancel()
