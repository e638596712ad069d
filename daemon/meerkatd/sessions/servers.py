"""The MCP servers of a session's own, kept in its document, and what can be done with them while a turn runs or not."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import trio

from ..agent.tools.mcp.spec import ServerSpec
from ..contract.mcp import McpServerConfig
from ..errors import StorageUnknown
from ..store.api import RealmStore, SessionChange
from .meta import SessionMeta
from .recovery import not_written
from .session import Session

# Of a server's description: what is accepted and never shown again.
_SECRET = frozenset(("env", "headers"))

Servers = dict[str, dict[str, Any] | None]


def servers_of(meta: SessionMeta) -> Mapping[str, ServerSpec | None]:
    """The servers as specs; None for one of the config that the session does not want."""
    return {
        name: None if config is None else ServerSpec.of(name, McpServerConfig.model_validate(config))
        for name, config in meta.mcp.items()
    }


def without_secrets(document: str) -> str:
    """A session's document without the variables and headers of its own servers; the same text when it has none."""
    meta = SessionMeta.load(document)
    bare = {
        name: config and {key: value for key, value in config.items() if key not in _SECRET}
        for name, config in meta.mcp.items()
    }
    return document if bare == meta.mcp else replace(meta, mcp=bare).dump()


async def change_servers(store: RealmStore, session: Session, change: Callable[[Servers], Servers]) -> None:
    """Change the session's servers; durable when this returns, and seen by the next call of the model.

    Raises:
        SessionArchived, StorageFull, StorageFailed; what `change` raises leaves everything as it is.
    """
    async with session.changing:
        session.check_open()
        meta = replace(session.meta, mcp=change(dict(session.meta.mcp))).dump()
        with trio.CancelScope(shield=True):
            try:
                await store.change_session(
                    session.session_id, SessionChange(updated_ms=session.row.updated_ms, meta=meta)
                )
            except StorageUnknown as unknown:
                row = await store.session(session.session_id)
                if row is None or row.meta != meta:
                    raise not_written(unknown) from unknown
            session.replace_row(replace(session.row, meta=meta))
