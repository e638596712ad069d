"""The clients of ours as ways to the daemon: what a test asks goes through their methods, and comes back as on the
wire.

What a client has no method for is asked by `call`, which every client has. Results are typed there, so some of what the
daemon says does not come through, and the promises about that are not held here: see `NOT_PROMISED`.
"""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from tests.sdk.flavours import client_of

from meerkat_client import RkatError, SessionMessage
from meerkat_client.wire.codes import row

SDKS = {"py": "trio", "py-blocking": "blocking"}
Params = dict[str, Any]
_SPELLED = {"backend": "realm_backend"}


class SdkDoor:
    """`surfaces.Door` over a client. It is connected by `initialize`."""

    def __init__(self, flavour: str, state_root: str, nursery: trio.Nursery) -> None:
        self._flavour = flavour
        self._state_root = state_root
        self._nursery = nursery
        self._send_in, self._receive_in = trio.open_memory_channel[Params](1000)
        self._client: Any = None
        self._questions: dict[str, tuple[trio.Event, list[Params]]] = {}

    async def send(self, message: Params) -> None:
        if "method" not in message:
            event, slot = self._questions[message["id"]]
            slot.append(message["result"])
            event.set()
        elif message["method"] == "initialize":
            await self._nursery.start(self._connect, message)
        else:
            self._nursery.start_soon(self._ask, message)

    async def receive(self) -> Params:
        return await self._receive_in.receive()

    async def _connect(self, message: Params, *, task_status: trio.TaskStatus[None]) -> None:
        """Connect, answer with what the client tells of it, and be connected until the test has ended."""
        given = {_SPELLED.get(name, name): value for name, value in message["params"].items()}
        client = given.pop("client", {"name": "test", "surface": "sdk"})
        options = {**given, "name": client["name"], "surface": client["surface"]}
        try:
            async with client_of(self._flavour, {**options, "state_root": self._state_root, "start": False}) as made:
                self._client = made
                self._send_in.send_nowait({"id": message["id"], "result": dict(made.info)})
                task_status.started()
                await trio.sleep_forever()
        except RkatError as error:
            self._send_in.send_nowait({"id": message["id"], "error": _error(error)})
            task_status.started()

    async def _ask(self, message: Params) -> None:
        method, params = message["method"], dict(message["params"])
        try:
            result = await ASKS.get(method, _any(method))(self, params)
        except RkatError as error:
            self._send_in.send_nowait({"id": message["id"], "error": _error(error)})
        else:
            self._send_in.send_nowait({"id": message["id"], "result": result})

    async def create(self, params: Params) -> Any:
        params.pop("session_events", None)
        if params.pop("initial_turn", None) == "deferred":
            deferred = await self._client.create_deferred_session(**params)
            return {"session_id": deferred.id, "session_ref": deferred.ref}
        return _wire((await self._client.create_session(**params)).last_result)

    async def turn(self, params: Params) -> Any:
        params.pop("session_events", None)
        return _wire(await self._session(params).turn(**params))

    async def list_sessions(self, params: Params) -> Any:
        return {"sessions": [_wire(each) for each in await self._client.list_sessions(**params)]}

    async def read(self, params: Params) -> Any:
        return _wire(await self._client.read_session(**params))

    async def history(self, params: Params) -> Any:
        page = await self._client.read_session_history(**params)
        return {**_wire(page), "messages": [_message(each) for each in page.messages]}

    async def archive(self, params: Params) -> Any:
        session = self._session(params)
        await session.archive(**params)
        return {"session_id": session.id, "archived": True}

    async def unarchive(self, params: Params) -> Any:
        session = self._session(params)
        await session.unarchive(**params)
        return {"session_id": session.id, "archived": False}

    async def label(self, params: Params) -> Any:
        return {"labels": await self._session(params).label(**params)}

    async def interrupt(self, params: Params) -> Any:
        return _wire(await self._session(params).interrupt(**params))

    async def inject(self, params: Params) -> Any:
        if set(params) <= {"session_id", "text", "source", "idempotency_key"} and "text" in params:
            return dict(await self._client.inject_context(**params))
        return await self._client.call("session/inject_context", params)

    async def tell(self, params: Params) -> Any:
        if not {"event_type", "payload"} <= set(params) or params.get("kind", "generic_json") != "generic_json":
            return await self._client.call("session/external_event", params)
        params.pop("kind", None)
        return dict(await self._client.send_external_event(**params))

    async def config_get(self, params: Params) -> Any:
        if "format" in params:
            return await self._client.call("config/get", params)
        return dict(await self._client.get_config(**params))

    async def config_set(self, params: Params) -> Any:
        if not isinstance(params.get("config"), dict) or not _only(params, "config"):
            return await self._client.call("config/set", params)
        return dict(await self._client.set_config(**params))

    async def config_patch(self, params: Params) -> Any:
        if not isinstance(params.get("patch"), dict) or not _only(params, "patch"):
            return await self._client.call("config/patch", params)
        return dict(await self._client.patch_config(**params))

    async def register(self, params: Params) -> Any:
        for tool in params["tools"]:
            name = tool["name"]
            declare = self._client.tool(name, description=tool["description"], input_schema=tool["input_schema"])
            declare(self._carrier(name))
        # They are offered with the next request.
        await self._client.call("realm/current")
        return {"registered": len(params["tools"])}

    def _carrier(self, name: str) -> Callable[[Params], Awaitable[str]]:
        async def carry_out(arguments: Params) -> str:
            question = f"tool-{len(self._questions)}"
            event, slot = self._questions[question] = trio.Event(), []
            params = {"name": name, "arguments": arguments}
            self._send_in.send_nowait({"id": question, "method": "tool/execute", "params": params})
            await event.wait()
            return str(slot[0]["content"])

        return carry_out

    def _session(self, params: Params) -> Any:
        return self._client.session(params.pop("session_id"))

    async def call(self, method: str, params: Params) -> Any:
        return await self._client.call(method, params)


ASKS: dict[str, Callable[[SdkDoor, Params], Awaitable[Any]]] = {
    "config/get": SdkDoor.config_get,
    "config/patch": SdkDoor.config_patch,
    "config/set": SdkDoor.config_set,
    "session/archive": SdkDoor.archive,
    "session/create": SdkDoor.create,
    "session/external_event": SdkDoor.tell,
    "session/history": SdkDoor.history,
    "session/inject_context": SdkDoor.inject,
    "session/label": SdkDoor.label,
    "session/list": SdkDoor.list_sessions,
    "session/read": SdkDoor.read,
    "session/unarchive": SdkDoor.unarchive,
    "tools/register": SdkDoor.register,
    "turn/interrupt": SdkDoor.interrupt,
    "turn/start": SdkDoor.turn,
}


@asynccontextmanager
async def open_sdk_door(surface: str, state_root: str) -> AsyncIterator[SdkDoor]:
    """A client of ours; its turns go on without it."""
    async with trio.open_nursery() as nursery:
        yield SdkDoor(SDKS[surface], state_root, nursery)
        nursery.cancel_scope.cancel()


def _any(method: str) -> Callable[[SdkDoor, Params], Awaitable[Any]]:
    return lambda door, params: door.call(method, params)


def _only(params: Params, what: str) -> bool:
    return set(params) <= {what, "expected_generation", "idempotency_key"}


def _wire(value: Any) -> Params:
    """A result as the wire has it: nothing that is absent."""
    fields: Params = dataclasses.asdict(value)
    return {name: field for name, field in fields.items() if field is not None and field != {}}


def _message(message: SessionMessage) -> Params:
    fields = {name: field for name, field in dataclasses.asdict(message).items() if field not in (None, (), [])}
    text = fields.pop("text", "")
    if message.role == "user":
        fields["content"] = text
    elif message.role == "system_notice":
        fields["body"] = text
    if message.events:
        fields["blocks"] = [{"type": "external_event", **dataclasses.asdict(event)} for event in message.events]
    return fields


def _error(error: RkatError) -> Params:
    details = {**error.details, "hint": error.hint, "retryable": error.retryable}
    data = {"code": error.code, "message": error.message, "details": details}
    return {"code": row(error.code).rpc, "message": error.message, "data": data}
