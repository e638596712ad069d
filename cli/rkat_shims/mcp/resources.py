"""Sessions as resources: `meerkat://sessions/{id}` is what `session/read` says, `…/history` the committed messages."""

import re
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
    Annotations,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    ResourceTemplateReference,
    TextResourceContents,
)

from meerkat_client.errors import RkatError
from meerkat_client.wire.json_text import encode_json

from .answers import error_fields
from .daemon import Daemon

SESSION: Final = "meerkat://sessions/{id}"
HISTORY: Final = "meerkat://sessions/{id}/history{?offset,limit}"
# As many as the protocol lets a completion have.
_MOST_VALUES: Final = 100
_PAGE: Final = 100
_JSON: Final = "application/json"

_PATH: Final = re.compile(r"/([^/]+)(/history)?")


class Address(NamedTuple):
    """What a URI names.

    Attributes:
        query: `offset` and `limit` of a history.
    """

    session_id: str
    history: bool
    query: dict[str, int]


def address(uri: str) -> Address:
    """What `uri` names.

    Raises:
        MCPError: it names nothing here.
    """
    parts = urlsplit(uri)
    path = _PATH.fullmatch(parts.path)
    if parts.scheme != "meerkat" or parts.netloc != "sessions" or path is None:
        raise _refused(uri, f"is no resource of this server: there are {SESSION} and {HISTORY}")
    history = path.group(2) is not None
    query: dict[str, int] = {}
    for name, values in parse_qs(parts.query, keep_blank_values=True).items():
        if not history or name not in ("offset", "limit") or not re.fullmatch(r"\d{1,15}", values[-1]):
            raise _refused(uri, f"has {name}={values[-1]}, which means nothing")
        query[name] = int(values[-1])
    return Address(unquote(path.group(1)), history, query)


def failure(error: RkatError) -> MCPError:
    """An error of the daemon where the protocol knows no result that is one."""
    code = INVALID_PARAMS if error.code == "SESSION_NOT_FOUND" else error.rpc_code
    return MCPError(code, error.message, error_fields(error))


class Resources:
    """The resources of one realm."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def page(self, params: PaginatedRequestParams | None) -> ListResourcesResult:
        """Sessions, newest change first.

        Raises:
            MCPError: a cursor that is not ours, or what the daemon says.
        """
        cursor = (params.cursor if params is not None else None) or "0"
        if not re.fullmatch(r"\d{1,15}", cursor):
            raise MCPError(INVALID_PARAMS, f"The cursor {cursor!r} was not given by this server.")
        offset = int(cursor)
        rows = (await self._ask("session/list", {"limit": _PAGE, "offset": offset}))["sessions"]
        further = str(offset + _PAGE) if len(rows) == _PAGE else None
        return ListResourcesResult(resources=[_resource(row) for row in rows], next_cursor=further)

    async def templates(self) -> ListResourceTemplatesResult:
        session = ResourceTemplate(
            uri_template=SESSION,
            name="session",
            title="A session",
            description="What a session is and how its last turn ended.",
            mime_type=_JSON,
        )
        history = ResourceTemplate(
            uri_template=HISTORY,
            name="history",
            title="The messages of a session",
            description="Committed messages, oldest first, by offset and limit.",
            mime_type=_JSON,
        )
        return ListResourceTemplatesResult(resource_templates=[session, history])

    async def read(self, uri: str) -> ReadResourceResult:
        """What is at `uri`.

        Raises:
            MCPError: it names nothing, or what the daemon says.
        """
        named = address(uri)
        asked = {"session_id": named.session_id, **named.query}
        value = await self._ask("session/history" if named.history else "session/read", asked)
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=_JSON, text=encode_json(value))])

    async def complete(self, params: CompleteRequestParams) -> CompleteResult:
        """Ids of sessions that begin like what was typed.

        Raises:
            MCPError: what the daemon says.
        """
        known = isinstance(params.ref, ResourceTemplateReference) and params.ref.uri in (SESSION, HISTORY)
        if not known or params.argument.name != "id":
            return CompleteResult(completion=Completion(values=[], total=0, has_more=False))
        rows = (await self._ask("session/list", {"limit": 1000}))["sessions"]
        found = [row["session_id"] for row in rows if row["session_id"].startswith(params.argument.value)]
        shown = found[:_MOST_VALUES]
        return CompleteResult(completion=Completion(values=shown, total=len(found), has_more=len(found) > len(shown)))

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        try:
            return await self._daemon.ask(method, params)
        except RkatError as error:
            raise failure(error) from error


def _resource(row: dict[str, Any]) -> Resource:
    from datetime import UTC, datetime

    changed = datetime.fromtimestamp(row["updated_at"], UTC).isoformat()
    return Resource(
        uri=SESSION.replace("{id}", row["session_id"]),
        name=row["session_id"],
        title=row["title"] or row["session_id"],
        description=f"{row['message_count']} messages, {row['model']}",
        mime_type=_JSON,
        annotations=Annotations(last_modified=changed),
    )


def _refused(uri: str, what: str) -> MCPError:
    return MCPError(INVALID_PARAMS, f"{uri} {what}.", {"uri": uri})
