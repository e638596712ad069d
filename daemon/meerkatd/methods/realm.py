"""Realms: current, list, show, create."""

from ..contract.realm import RealmCreate, RealmCurrent, RealmDetails, RealmInfo, RealmList, RealmPage, RealmShow
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
    realm = context.services.registry.existing(parse_realm_id(params.realm_id))
    with realm.in_use():
        return await realm.details()


async def create(context: Context, params: RealmCreate, call: Call) -> RealmDetails:
    realm = context.services.registry.get(parse_realm_id(params.realm_id))
    with realm.in_use():
        realm.check_backend(params.backend)
        await realm.store(True)
        return await realm.details()
