"""GET, PUT and PATCH of the config, with entity tags and preconditions; see `etag` for their rules."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from meerkat_client.errors import RkatError
from meerkat_client.wire.json_text import encode_json

from . import answers, etag, powers
from .calls import Calls
from .params import JsonObject
from .routes import Route

_PRECONDITION_FAILED = 412
_READ = "config/get"


async def respond(calls: Calls, route: Route, params: JsonObject, request: Request) -> Response:
    """The answer to a request of the config.

    Raises:
        RkatError: as the daemon's methods, PERMISSION_DENIED for keys that are not for this door.
    """
    if route.verb == "GET":
        return _read(await calls.ask(route, params), request)
    try:
        return await _write(calls, route, params, request)
    except _PreconditionFailed as failed:
        return answers.refusal(failed.error, status=_PRECONDITION_FAILED)


def document_in(route: Route, body: JsonObject) -> JsonObject:
    """The params in a body, which may also be the document, or the patch, itself."""
    name = "patch" if route.verb == "PATCH" else "config"
    envelope = name in body or (route.verb == "PUT" and "toml" in body)
    return body if envelope else {name: body}


class _PreconditionFailed(Exception):
    def __init__(self, error: RkatError) -> None:
        super().__init__(error)
        self.error = error


def _read(envelope: Mapping[str, Any], request: Request) -> Response:
    response = _with_tag(envelope)
    named = request.headers.get("if-none-match")
    if named is not None:
        tags = etag.parse("If-None-Match", named)
        if etag.matches_weakly(tags, etag.tag_of(envelope["generation"], bytes(response.body))):
            return Response(status_code=304, headers={"etag": response.headers["etag"]})
    return response


async def _write(calls: Calls, route: Route, params: JsonObject, request: Request) -> Response:
    by_header, current = await _preconditions(calls, params, request)
    wanted = {} if calls.options.allow_programs else powers.in_params(params)
    expected = params.get("expected_generation", by_header)
    if wanted:
        now = current if current is not None else await calls.read(_READ, {})
        powers.refuse_new(wanted, now["config"], expected=expected, generation=now["generation"])
    if not calls.options.allow_programs and powers.leaves_policy_out(params):
        now = current if current is not None else await calls.read(_READ, {})
        powers.refuse_without_policy(now["config"])
    if expected is not None:
        params["expected_generation"] = expected
    try:
        written = await calls.ask(route, params)
    except RkatError as error:
        if error.code == "CONFIG_CONFLICT" and by_header == expected:
            raise _PreconditionFailed(error) from error
        raise
    if written.get("replayed"):
        return answers.result(written)
    response = _with_tag(written)
    response.headers["content-location"] = "/config"
    return response


async def _preconditions(
    calls: Calls, params: JsonObject, request: Request
) -> tuple[int | None, Mapping[str, Any] | None]:
    """The generation that the headers demand, if they do, and the config by which they were judged."""
    named, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
    if named is None and unwanted is None:
        return None, None
    envelope: Mapping[str, Any] = calls.shown(await calls.read(_READ, {}))
    tag = etag.tag_of(envelope["generation"], encode_json(envelope).encode())
    if named is not None:
        tags = etag.parse("If-Match", named)
        if not etag.matches_strongly(tags, tag):
            earlier = etag.replayable(tags, tag) if "idempotency_key" in params else None
            if earlier is None:
                raise _failed("If-Match", tag)
            return earlier, envelope
        if tags is None and unwanted is None:
            return None, envelope
    if unwanted is not None and etag.matches_weakly(etag.parse("If-None-Match", unwanted), tag):
        raise _failed("If-None-Match", tag)
    return envelope["generation"], envelope


def _failed(header: str, tag: etag.Tag) -> _PreconditionFailed:
    return _PreconditionFailed(
        RkatError(
            "CONFIG_CONFLICT",
            f"The config is not what {header} demands; nothing was changed.",
            details={"header": header, "etag": str(tag), "current_generation": tag.generation},
        )
    )


def _with_tag(envelope: Mapping[str, Any]) -> Response:
    response = answers.result(envelope)
    response.headers["etag"] = str(etag.tag_of(envelope["generation"], bytes(response.body)))
    return response
