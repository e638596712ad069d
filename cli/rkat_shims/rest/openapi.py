"""The table of routes as an OpenAPI 3.1 document. Shapes are those of the contract; nothing is written twice.

Served at /openapi.json, and checked in as docs/reference/openapi.json (`python -m meerkatd.contract.emit`).
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from meerkat_client.wire.codes import TABLE
from meerkat_client.wire.version import VERSION
from meerkatd.contract.methods import METHODS, Method

from . import answers
from .params import JsonObject, Shape, kind_of, shape_of
from .paths import PATHS
from .routes import ROUTES, Route
from .sse import MEDIA_TYPE

_REF: Final = "#/components/schemas/{model}"
_METHODS: Final = {method.name: method for method in METHODS}
_STREAMS: Final = ("events", "watch")
_ABOUT: Final = (
    "The sessions of one realm over HTTP. Every address but /health needs the token that rkat-rest names at its start. "
    "Requests of pages of other origins are refused."
)


@cache
def text() -> str:
    """The document as it is served."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def document() -> JsonObject:
    """The document."""
    paths: dict[str, JsonObject] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route)
    for path, operations in _OWN.items():
        paths.setdefault(path, {}).update(operations)
    return {
        "openapi": "3.1.0",
        "info": {"title": "rkat-rest", "version": VERSION, "description": _ABOUT},
        "security": [{"token": []}],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _operation(route: Route) -> JsonObject:
    method, shape = _METHODS[route.method], shape_of(route)
    made: JsonObject = {
        "operationId": route.method.replace("/", "_"),
        "summary": method.summary,
        "tags": [route.path.split("/")[1]],
        "parameters": list(_parameters(route, shape)),
    }
    if description := _description(method):
        made["description"] = description
    if route.has_body:
        made["requestBody"] = _body(route, shape)
    made["responses"] = _responses(route, method)
    return made


def _description(method: Method) -> str:
    """What the contract says about the params, without the method's name before it."""
    said = " ".join((method.params.__doc__ or "").split())
    _, _, rest = said.partition(": ")
    return f"{rest[:1].upper()}{rest[1:]}"


def _parameters(route: Route, shape: Shape) -> Iterator[JsonObject]:
    for name in shape.in_path:
        yield {"name": name, "in": "path", "required": True, "schema": _plain(shape.fields[name])}
    if route.uses_query:
        for name, schema in shape.in_query.items():
            yield _query(name, schema, required=name in shape.required)
    if shape.takes_key:
        yield _header("Idempotency-Key", _plain(shape.fields["idempotency_key"]), "See `idempotency_key`.")
    for name, about in _headers_of(route):
        yield _header(name, {"type": "string"}, about)


def _headers_of(route: Route) -> Iterator[tuple[str, str]]:
    if route.kind == "turn":
        yield "X-Meerkat-Request-Id", "A name for this request, to cancel it by; one is made up when absent."
    if route.kind in _STREAMS:
        yield "Last-Event-ID", "Go on after this event."
    if route.kind == "webhook":
        yield "X-Webhook-Secret", "Must be that of RKAT_WEBHOOK_SECRET, when rkat-rest was started with it."
    if route.kind == "config" and not route.reads:
        yield "If-Match", "Write only if the config still has one of these entity tags; 412 otherwise."
    if route.kind == "config":
        yield "If-None-Match", "Only if the config has none of these entity tags; 304 or 412 otherwise."


def _query(name: str, schema: JsonObject, *, required: bool) -> JsonObject:
    if kind_of(schema) == "object":
        pair = {"type": "string", "pattern": "^[^=]+=.*$"}
        many = {"type": "array", "items": pair, "uniqueItems": True}
        return {
            "name": "label",
            "in": "query",
            "schema": many,
            "description": "NAME=VALUE; repeat it for more, all of which must match.",
        }
    return {"name": name, "in": "query", "required": required, "schema": _plain(schema)}


def _header(name: str, schema: JsonObject, about: str) -> JsonObject:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": about}


def _plain(schema: Mapping[str, Any]) -> JsonObject:
    """A schema without the null that stands for an absent field, which has no spelling outside of a body."""
    kept = {name: value for name, value in schema.items() if name not in ("anyOf", "default", "title")}
    branches = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    return {**branches[0], **kept} if len(branches) == 1 else {**kept, **({"anyOf": branches} if branches else {})}


def _body(route: Route, shape: Shape) -> JsonObject:
    if route.kind == "webhook":
        whole = {"description": "What happened: any JSON; the model reads it."}
        return {"required": True, "content": {answers.JSON: {"schema": whole}}}
    required = sorted(shape.required & set(shape.outside))
    schema: JsonObject = {
        "type": "object",
        "properties": {name: _untitled(each) for name, each in shape.outside.items()},
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }
    if route.kind == "config":
        what = "The patch itself." if route.verb == "PATCH" else "The document itself."
        schema = {"anyOf": [schema, {"type": "object", "description": what}]}
    return {"required": bool(required), "content": {answers.JSON: {"schema": schema}}}


def _untitled(schema: Mapping[str, Any]) -> JsonObject:
    return {name: value for name, value in schema.items() if name != "title"}


def _responses(route: Route, method: Method) -> JsonObject:
    if route.kind in _STREAMS:
        content: JsonObject = {MEDIA_TYPE: {"schema": {"type": "string"}}}
    else:
        adapter: TypeAdapter[Any] = TypeAdapter(method.result)
        _, schema = _results(((method.name, adapter),))
        content = {answers.JSON: {"schema": schema[method.name]}}
    found: JsonObject = {str(route.status): {"description": "Done.", "content": content}}
    if route.kind == "config" and route.reads:
        found["304"] = {"description": "The config still has the entity tag of If-None-Match."}
    if route.kind == "config" and not route.reads:
        found["409"] = _error("It does not have the expected generation (CONFIG_CONFLICT).")
        found["412"] = _error("A precondition in a header does not hold (CONFIG_CONFLICT).")
    return {**found, **_refusals()}


def _refusals() -> JsonObject:
    return {"401": _error("The token is missing or wrong."), "default": _error("An error of the one error table.")}


def _error(description: str) -> JsonObject:
    return {"description": description, "content": {answers.JSON: {"schema": {"$ref": _REF.format(model="Error")}}}}


def _results(adapters: tuple[tuple[str, TypeAdapter[Any]], ...]) -> tuple[JsonObject, dict[str, JsonObject]]:
    """Definitions, and the schema of each adapter by its name."""
    made, whole = TypeAdapter.json_schemas(
        [(name, "serialization", adapter) for name, adapter in adapters], ref_template=_REF
    )
    return whole.get("$defs", {}), {str(name): dict(schema) for (name, _), schema in made.items()}


def _schemas() -> JsonObject:
    adapters = tuple((route.method, TypeAdapter(_METHODS[route.method].result)) for route in ROUTES)
    found, _ = _results(adapters)
    for route in ROUTES:
        found.update(shape_of(route).definitions)
    for schema in found.values():
        if "required" in schema:
            # They are there only with --expose-paths.
            schema["required"] = [name for name in schema["required"] if name not in PATHS]
    found["Error"] = _ERROR
    return {name: found[name] for name in sorted(found)}


_ERROR: Final[JsonObject] = {
    "type": "object",
    "required": ["error", "code", "message", "details"],
    "properties": {
        "error": {"type": "string", "description": "The same as message."},
        "code": {"type": "string", "enum": list(TABLE), "description": "Test this."},
        "message": {"type": "string", "description": "One sentence for people."},
        "details": {
            "type": "object",
            "required": ["hint", "retryable"],
            "properties": {"hint": {"type": "string"}, "retryable": {"type": "boolean"}},
            "description": "Facts for programs; what to do next is in hint.",
        },
    },
}

_OWN: Final[dict[str, JsonObject]] = {
    "/health": {
        "get": {
            "operationId": "health",
            "summary": "Whether this server answers.",
            "description": "Needs no token and tells nothing; GET /runtime/health looks at the daemon.",
            "tags": ["health"],
            "parameters": [],
            "security": [],
            "responses": {
                "200": {"description": "It does.", "content": {"text/plain": {"schema": {"const": "ok"}}}},
                "default": _error("An error of the one error table."),
            },
        }
    },
    "/openapi.json": {
        "get": {
            "operationId": "openapi",
            "summary": "This document.",
            "tags": ["docs"],
            "parameters": [],
            "responses": {
                "200": {"description": "Done.", "content": {answers.JSON: {"schema": {"type": "object"}}}},
                **_refusals(),
            },
        }
    },
    "/docs": {
        "get": {
            "operationId": "docs",
            "summary": "This document as a page, without scripts.",
            "tags": ["docs"],
            "parameters": [],
            "responses": {
                "200": {"description": "Done.", "content": {"text/html": {"schema": {"type": "string"}}}},
                **_refusals(),
            },
        }
    },
    "/requests/{request_id}/cancel": {
        "post": {
            "operationId": "request_cancel",
            "summary": "Interrupt the turn that a request of this server has begun.",
            "description": "The request is answered with REQUEST_CANCELLED; what was produced is kept.",
            "tags": ["requests"],
            "parameters": [
                {
                    "name": "request_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "minLength": 1},
                    "description": "The X-Meerkat-Request-Id of the request.",
                }
            ],
            "responses": {
                "200": {
                    "description": "Done, or with `cancelled` false: it was over already.",
                    "content": {
                        answers.JSON: {
                            "schema": {
                                "type": "object",
                                "required": ["request_id", "cancelled"],
                                "properties": {
                                    "request_id": {"type": "string"},
                                    "cancelled": {"type": "boolean"},
                                    "reason": {"const": "already_terminal"},
                                },
                            }
                        }
                    },
                },
                **_refusals(),
            },
        }
    },
}
