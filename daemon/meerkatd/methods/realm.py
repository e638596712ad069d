"""Realms: current, list, show, create, delete; and the trash: list, restore, prune, empty."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..contract.realm import (
    RealmBackup,
    RealmCheck,
    RealmChecked,
    RealmConvert,
    RealmCopied,
    RealmCreate,
    RealmCurrent,
    RealmDelete,
    RealmDeleted,
    RealmDetails,
    RealmEmptyTrash,
    RealmExport,
    RealmImport,
    RealmInfo,
    RealmList,
    RealmPage,
    RealmPrune,
    RealmPruned,
    RealmRestore,
    RealmRestoreBackup,
    RealmShow,
    RealmTrash,
    TrashPage,
)
from ..ids import parse_realm_id
from ..protocol.port import Call
from ..realms.realm import Realm
from .context import Context


async def current(context: Context, params: RealmCurrent, call: Call) -> RealmInfo:
    return context.realm.info()


async def list_realms(context: Context, params: RealmList, call: Call) -> RealmPage:
    realms, unreadable = await context.services.registry.look()
    return {"realms": list(realms), "unreadable": list(unreadable)}


async def show(context: Context, params: RealmShow, call: Call) -> RealmDetails:
    if params.realm_id is None:
        return await context.realm.details()
    registry = context.services.registry
    realm = registry.existing(parse_realm_id(params.realm_id))
    with registry.using(realm):
        return await realm.details()


async def create(context: Context, params: RealmCreate, call: Call) -> RealmDetails:
    registry = context.services.registry
    realm = registry.get(parse_realm_id(params.realm_id))
    with registry.using(realm):
        realm.check_backend(params.backend)
        await realm.store(True)
        return await realm.details()


async def delete(context: Context, params: RealmDelete, call: Call) -> RealmDeleted:
    realm_id = parse_realm_id(params.realm_id)
    return await context.services.removal.delete(realm_id, force=params.force, bound=context.bound)


async def restore(context: Context, params: RealmRestore, call: Call) -> RealmDetails:
    realm = await context.services.removal.restore(realm_id=params.realm_id, trash_id=params.trash_id)
    with context.services.registry.using(realm):
        return await realm.details()


async def trash(context: Context, params: RealmTrash, call: Call) -> TrashPage:
    return {"trash": await context.services.removal.listed()}


async def prune(context: Context, params: RealmPrune, call: Call) -> RealmPruned:
    pruned = await context.services.removal.prune(
        older_than_hours=params.older_than_hours, isolated_only=params.isolated_only, dry_run=params.dry_run
    )
    return {"pruned": list(pruned), "dry_run": params.dry_run}


async def empty_trash(context: Context, params: RealmEmptyTrash, call: Call) -> TrashPage:
    gone = await context.services.removal.empty(trash_id=params.trash_id, older_than_hours=params.older_than_hours)
    return {"trash": gone}


@contextmanager
def _chosen(context: Context, realm_id: str | None) -> Iterator[Realm]:
    """The connection's realm, or the one that is named; in use meanwhile."""
    if realm_id is None:
        yield context.realm
        return
    registry = context.services.registry
    realm = registry.existing(parse_realm_id(realm_id))
    with registry.using(realm):
        yield realm


async def backup(context: Context, params: RealmBackup, call: Call) -> RealmCopied:
    with _chosen(context, params.realm_id) as realm:
        return await context.services.backups.take(realm, params.path)


async def restore_backup(context: Context, params: RealmRestoreBackup, call: Call) -> RealmCopied:
    _, copied = await context.services.backups.restore(params.path, params.realm_id)
    return copied


async def export(context: Context, params: RealmExport, call: Call) -> RealmCopied:
    with _chosen(context, params.realm_id) as realm:
        return await context.services.exports.export(realm, params.path, secrets=params.secrets)


async def import_file(context: Context, params: RealmImport, call: Call) -> RealmCopied:
    _, copied = await context.services.exports.import_file(
        params.path, realm_id=params.realm_id, backend=params.backend
    )
    return copied


async def convert(context: Context, params: RealmConvert, call: Call) -> RealmCopied:
    with _chosen(context, params.realm_id) as realm:
        # This request, and its use of the realm when that is another one than the connection's, or named.
        own_calls = (realm is context.bound) + (params.realm_id is not None)
        return await context.services.conversions.convert(realm, params.to, own_calls=own_calls)


async def check(context: Context, params: RealmCheck, call: Call) -> RealmChecked:
    realm_id = context.realm.realm_id if params.realm_id is None else parse_realm_id(params.realm_id)
    findings = await context.services.checks.examine(realm_id)
    whole = all(finding["level"] != "error" for finding in findings)
    return {"realm_id": realm_id, "whole": whole, "findings": findings}
