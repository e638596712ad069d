"""Realms: current, list, show, create, delete; and the trash: list, restore, prune, empty."""

from ..contract.realm import (
    RealmCreate,
    RealmCurrent,
    RealmDelete,
    RealmDeleted,
    RealmDetails,
    RealmEmptyTrash,
    RealmInfo,
    RealmList,
    RealmPage,
    RealmPrune,
    RealmPruned,
    RealmRestore,
    RealmShow,
    RealmTrash,
    TrashPage,
)
from ..ids import parse_realm_id
from ..protocol.port import Call
from .context import Context


async def current(context: Context, params: RealmCurrent, call: Call) -> RealmInfo:
    return context.realm.info()


async def list_realms(context: Context, params: RealmList, call: Call) -> RealmPage:
    return {"realms": await context.services.registry.list()}


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
