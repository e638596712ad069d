"""The realm's config: get, set, patch, schema, watch, unwatch."""

import copy
import os
from collections.abc import Callable
from typing import Any

import trio

from ..contract.config import (
    ConfigEnvelope,
    ConfigGet,
    ConfigPatch,
    ConfigSchema,
    ConfigSchemaParams,
    ConfigSet,
    ConfigUnwatch,
    ConfigUnwatched,
    ConfigWatch,
    ConfigWatched,
    ResolvedPaths,
)
from ..contract.config_document import json_schema
from ..errors import Overloaded
from ..ids import uuid7
from ..protocol.port import Call
from ..realms.config.cell import ConfigVersion, Written
from ..realms.config.secrets import redact
from ..realms.config.settings import layered, with_defaults
from ..realms.config.text import shown
from ..realms.config.watch import follow
from ..realms.config.write import from_patch, from_text, from_tree
from .context import Context
from .turn import keyed

# A client has one watch, or one for each of its parts.
MAX_WATCHES = 16


async def get(context: Context, params: ConfigGet, call: Call) -> ConfigEnvelope:
    version = context.realm.config.current()
    if params.effective:
        merged = with_defaults(layered(context.services.registry.user_config.current(), version.plain))
        return _envelope(context, version, merged)
    answer = _envelope(context, version, version.plain)
    if params.format == "toml":
        answer["toml"] = await trio.to_thread.run_sync(shown, version.text)
    return answer


async def set_config(context: Context, params: ConfigSet, call: Call) -> ConfigEnvelope:
    change = from_tree(params.config) if params.config is not None else from_text(params.toml or "")
    written = await context.realm.config.write(
        change,
        expected=params.expected_generation,
        keyed=keyed("config/set", params),
        where="config" if params.config is not None else "toml",
        mend=True,
    )
    return _written(context, written)


async def patch(context: Context, params: ConfigPatch, call: Call) -> ConfigEnvelope:
    written = await context.realm.config.write(
        from_patch(params.patch),
        expected=params.expected_generation,
        keyed=keyed("config/patch", params),
        where="patch",
        mend=False,
    )
    return _written(context, written)


async def schema(context: Context, params: ConfigSchemaParams, call: Call) -> ConfigSchema:
    return {"schema": json_schema()}


async def watch(context: Context, params: ConfigWatch, call: Call) -> ConfigWatched:
    if len(context.watches) >= MAX_WATCHES:
        raise Overloaded(
            f"This connection watches the config {MAX_WATCHES} times already.",
            hint="End some of them with config/unwatch.",
        )
    realm, watch_id, scope = context.realm, uuid7(), trio.CancelScope()
    generation = realm.config.look().generation
    notify = _notifier(context, watch_id)

    async def run() -> None:
        try:
            with scope:
                await follow(realm.config, generation, changed=lambda facts: notify("config/changed", facts))
                await notify("config/watch_end", {"outcome": "realm_deleted"})
        finally:
            context.watches.pop(watch_id, None)

    context.watches[watch_id] = scope.cancel
    context.peer.start(run, name=f"watch of {realm.realm_id}")
    return {"watch_id": watch_id, "realm_id": realm.realm_id, "generation": generation}


async def unwatch(context: Context, params: ConfigUnwatch, call: Call) -> ConfigUnwatched:
    end = context.watches.pop(params.watch_id, None)
    if end is not None:
        end()
    return {"watch_id": params.watch_id, "closed": end is not None}


def _notifier(context: Context, watch_id: str) -> Callable[[str, dict[str, Any]], Any]:
    about = {"watch_id": watch_id, "realm_id": context.realm.realm_id}
    return lambda method, facts: context.peer.notify(method, {**about, **facts})


def _written(context: Context, written: Written) -> ConfigEnvelope:
    answer = _envelope(context, written.version, written.version.plain)
    if written.replayed:
        answer["replayed"] = True
        answer["current_generation"] = written.version.generation
        answer["generation"] = written.generation
    return answer


def _envelope(context: Context, version: ConfigVersion, plain: Any) -> ConfigEnvelope:
    return {
        "config": redact(copy.deepcopy(plain)),
        "generation": version.generation,
        "realm_id": context.realm.realm_id,
        "instance_id": context.instance_id,
        "backend": context.realm.info().get("backend"),
        "resolved_paths": _paths(context),
    }


def _paths(context: Context) -> ResolvedPaths:
    services, info = context.services, context.realm.info()
    paths: ResolvedPaths = {
        "root": services.settings.state_root,
        "user_config_path": services.registry.user_config.path,
    }
    if info.get("backend") == "memory":
        return paths
    folder = context.realm.folder
    paths["realm_path"] = folder
    paths["manifest_path"] = os.path.join(folder, "realm_manifest.json")
    paths["config_path"] = os.path.join(folder, "config.toml")
    if info.get("backend", "sqlite") == "sqlite":
        paths["sessions_sqlite_path"] = os.path.join(folder, "sessions.sqlite3")
    return paths
