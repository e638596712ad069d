"""Everything together as one ASGI application: the door, the routes of the table, and the few addresses of our own."""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import trio
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from meerkat_client.errors import RkatError

from . import answers, config, openapi, pages
from .body import Bodies, Disconnected, Receive
from .calls import Calls
from .events import Feeds
from .following import SessionSource
from .guard import SECRET_HEADER, Guard, Head
from .params import KEY_HEADER, PAYLOAD, JsonObject, gather
from .routes import ROUTES, Route
from .sse import EventResponse, Send
from .watch import Watch, WatchSource

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]

# Who went away is not answered; the number is only there because a response must have one.
_GONE: Final = 499
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
# For every answer: nothing is kept, nothing is guessed, nothing is shown inside of another page.
_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shim:
    """What the endpoints need."""

    calls: Calls
    feeds: Feeds
    watch: Watch
    bodies: Bodies
    guard: Guard
    closing: trio.Event


class Door:
    """Lets requests in, or not; gives each its id, and each answer its headers.

    Outside of the framework, so that nothing of a request is looked at before: not its path, not its body.
    """

    def __init__(self, shim: Shim) -> None:
        self._app = make_app(shim)
        self._guard = shim.guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Before it was accepted, so the client is answered 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        request_id, odd = _request_id(scope["headers"])
        scope["state"] = {"request_id": request_id, "odd_request_id": odd}

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _complete(message["headers"], request_id)
            await send(message)

        try:
            self._guard.check(_head(scope))
        except RkatError as refused:
            await answers.refusal(refused)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            # Answered already, by `_failed`; it comes on here so that it is logged whether there was an answer or not.
            log.error("a request failed unexpectedly, reference %s", request_id, exc_info=error)


def _head(scope: Scope) -> Head:
    return Head(
        method=scope["method"],
        path=scope["path"],
        version=scope["http_version"],
        target_bytes=len(scope["raw_path"]) + len(scope["query_string"]),
        headers=list(scope["headers"]),
        server=scope["server"],
    )


def _request_id(headers: list[tuple[bytes, bytes]]) -> tuple[str, bool]:
    """The request's id, made up unless it has a proper one; and whether it has one that is none."""
    name = answers.REQUEST_ID_HEADER.encode()
    found = [value.decode("latin-1") for key, value in headers if key == name]
    if len(found) == 1 and _REQUEST_ID.fullmatch(found[0]):
        return found[0], False
    return str(uuid.uuid4()), bool(found)


def _complete(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    there = {name for name, _ in headers}
    ours = [(name, value) for name, value in _HEADERS if name not in there]
    return [*headers, *ours, (answers.REQUEST_ID_HEADER.encode(), request_id.encode())]


def make_app(shim: Shim) -> FastAPI:
    """The application behind the door."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    endpoints: dict[str, dict[str, Endpoint]] = {}
    for route in ROUTES:
        endpoints.setdefault(route.path, {})[route.verb] = _endpoint(shim, route)
    endpoints |= {
        "/health": {"GET": _health},
        "/openapi.json": {"GET": _openapi},
        "/docs": {"GET": _docs},
        "/requests/{request_id}/cancel": {"POST": _cancel(shim)},
    }
    for path, verbs in endpoints.items():
        # One route for all verbs of a path, so that what it does not take is told with all that it takes.
        app.add_api_route(path, _by_verb(verbs), methods=list(verbs), include_in_schema=False, response_model=None)
    app.add_exception_handler(RkatError, _refused)
    app.add_exception_handler(HTTPException, _not_here)
    app.add_exception_handler(Disconnected, _gone)
    app.add_exception_handler(Exception, _failed)
    return app


def _by_verb(verbs: dict[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await verbs[request.method](request)

    return endpoint


def _endpoint(shim: Shim, route: Route) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        params = await _params(shim, route, request)
        match route.kind:
            case "turn":
                request_id = request.state.request_id
                outcome = await shim.calls.run_turn(route, params, request_id=request_id, receive=request.receive)
                return answers.result(outcome, status=route.status)
            case "config":
                return await config.respond(shim.calls, route, params, request)
            case "events" | "watch":
                return await _stream(shim, route, params, request)
            case "webhook":
                outcome = await shim.calls.ask(route, params)
                return answers.result({"queued": True, **outcome}, status=route.status)
        return answers.result(await shim.calls.ask(route, params), status=route.status)

    return endpoint


async def _params(shim: Shim, route: Route, request: Request) -> JsonObject:
    headers = request.headers
    if request.state.odd_request_id:
        raise RkatError(
            "INVALID_REQUEST",
            "X-Meerkat-Request-Id must be there once, with 1 to 128 visible characters.",
            hint="Leave it out, and one is made up.",
        )
    body: JsonObject = {}
    if route.has_body:
        content_type, length = headers.get("content-type"), headers.get("content-length")
        if route.kind == "webhook":
            shim.guard.check_webhook(headers.getlist(SECRET_HEADER))
            body = {PAYLOAD: await shim.bodies.read(request.receive, content_type=content_type, length=length)}
        else:
            body = await shim.bodies.read_object(request.receive, content_type=content_type, length=length)
        if route.kind == "config":
            body = config.document_in(route, body)
    elif headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise RkatError("INVALID_REQUEST", f"{route.verb} takes no body here.", hint="Put it into the query.")
    return gather(
        route,
        path=request.path_params,
        query=request.scope["query_string"],
        body=body,
        key=headers.get(KEY_HEADER),
    )


async def _stream(shim: Shim, route: Route, params: JsonObject, request: Request) -> Response:
    shim.calls.refuse_while_closing()
    last_event_id = request.headers.get("last-event-id")
    if route.kind == "watch":
        return EventResponse(await WatchSource.open(shim.watch, last_event_id=last_event_id), shim.closing)
    source = await SessionSource.open(shim.calls, shim.feeds, params, last_event_id=last_event_id)
    return EventResponse(source, shim.closing)


def _cancel(shim: Shim) -> Endpoint:
    async def cancel(request: Request) -> Response:
        return answers.result(shim.calls.flights.cancel(request.path_params["request_id"]))

    return cancel


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok")


async def _openapi(request: Request) -> Response:
    return Response(openapi.text(), media_type=answers.JSON)


async def _docs(request: Request) -> Response:
    return HTMLResponse(pages.html())


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RkatError)
    return answers.refusal(error)


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        refused = RkatError("METHOD_NOT_ALLOWED", f"This address does not take {request.method}.")
        return answers.refusal(refused, headers=error.headers)
    return answers.refusal(RkatError("NOT_FOUND", "There is nothing at this address."))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=_GONE)


async def _failed(request: Request, error: Exception) -> Response:
    return answers.refusal(
        RkatError(
            "INTERNAL_ERROR",
            "rkat-rest failed in a way that it should not.",
            hint="Look up the reference in what rkat-rest said on stderr, and report it.",
            details={"reference": request.state.request_id},
        )
    )
