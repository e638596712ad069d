"""Realms: the only key by which sessions and config are shared or kept apart."""

from typing import NotRequired

from typing_extensions import TypedDict

from .base import Params, ShortText
from .connection import BackendName


class RealmCurrent(Params):
    """`realm/current`: the realm of this connection, whether it exists on the disk yet or not."""


class RealmList(Params):
    """`realm/list`: every realm below the state root."""


class RealmShow(Params):
    """`realm/show`; without `realm_id`, of this connection's realm."""

    realm_id: ShortText | None = None


class RealmCreate(Params):
    """`realm/create`: make a realm and pin its backend. One that exists with the same backend is left as it is."""

    realm_id: ShortText
    backend: BackendName | None = None


class RealmInfo(TypedDict):
    """A realm. `created_at` is in Unix seconds; `connections` and `active_turns` are those of this daemon right now."""

    realm_id: str
    exists: bool
    origin: str
    backend: NotRequired[str]
    created_at: NotRequired[int]
    path: NotRequired[str]
    connections: int
    active_turns: int
    open: bool


class RealmDetails(RealmInfo):
    sessions: NotRequired[int]
    messages: NotRequired[int]
    bytes_on_disk: NotRequired[int]
    format_version: NotRequired[int]
    problem: NotRequired[str]


class RealmPage(TypedDict):
    """Result of `realm/list`."""

    realms: list[RealmInfo]
