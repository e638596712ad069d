"""Deleting realms and bringing them back: `realm/delete`, `restore`, `prune` and the trash."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio

from ..contract.realm import RealmDeleted, RealmInfo, TrashedRealm
from ..errors import RealmInUse, RealmNotFound, from_os_error
from ..ids import RealmId
from .realm import Realm
from .registry import Registry
from .trash import Trash, Trashed, last_change

log = logging.getLogger(__name__)

_HOUR = 3600


class Removal:
    """Takes realms out of a registry, into the trash, and back."""

    def __init__(self, registry: Registry, trash: Trash) -> None:
        self._registry = registry
        self._trash = trash
        # Two requests that bring back, or delete for good, the same folder.
        self._lock = trio.Lock()

    async def delete(self, realm_id: RealmId, *, force: bool, bound: Realm | None) -> RealmDeleted:
        """Move a realm to the trash. Connections to it stay, and each of their requests gets REALM_NOT_FOUND.

        Args:
            force: also when others use it; its turns are interrupted, and what they produced is committed first.
            bound: the realm of the caller's own connection, which does not count as a use.

        Raises:
            RealmNotFound: there is none.
            RealmInUse: connections other than the caller's or turns use it.
        """
        realm = self._registry.existing(realm_id)
        own = int(bound is realm)
        turns, others = realm.sessions.active_turns, realm.connections - own
        if (turns or others) and not force:
            raise RealmInUse(
                f"Realm {realm_id!r} is in use by {_count(others, 'connection')} and {_count(turns, 'turn')}.",
                details={"realm_id": realm_id, "connections": others, "active_turns": turns},
            )
        trash_id = await realm.leave(
            lambda: self._trash.put(realm.folder), reason="interrupted because its realm was deleted", own_calls=own
        )
        self._registry.drop(realm)
        realm.config.retire()
        realm.sessions.end_streams()
        log.info("realm deleted", extra={"realm": realm_id, "trash_id": trash_id, "interrupted_turns": turns})
        return {"realm_id": realm_id, "deleted": True, "trash_id": trash_id, "interrupted_turns": turns}

    async def restore(self, *, realm_id: str | None, trash_id: str | None) -> Realm:
        """Bring a realm back from the trash; the one that was deleted last, when only its realm is named.

        Raises:
            RealmNotFound: the trash has no such thing.
            RealmExists: there is a realm with its id again.
        """
        async with self._lock:
            found = [
                (each, each.manifest)
                for each in await self._listed()
                if each.manifest is not None and (each.trash_id == trash_id or each.manifest.realm_id == realm_id)
            ]
            if not found:
                raise self._not_there(trash_id or realm_id)
            trashed, manifest = found[0]
            realm = self._registry.get(manifest.realm_id, origin=manifest.origin)
            with self._registry.using(realm), _as_fault("bring the realm back"):
                await realm.come_back(lambda: self._trash.take_back(trashed, realm.folder))
            return realm

    async def listed(self) -> list[TrashedRealm]:
        """What is in the trash, newest first."""
        return [_shape(each) for each in await self._listed()]

    async def empty(self, *, trash_id: str | None, older_than_hours: float) -> list[TrashedRealm]:
        """Delete for good. Returns what was deleted.

        Raises:
            RealmNotFound: nothing in the trash has this `trash_id`.
        """
        async with self._lock:
            limit = time.time() - older_than_hours * _HOUR
            found = [each for each in await self._listed() if trash_id in (None, each.trash_id)]
            if trash_id is not None and not found:
                raise self._not_there(trash_id)
            chosen = [each for each in found if each.deleted_at <= limit]
            for each in chosen:
                with _as_fault("empty the trash"):
                    await trio.to_thread.run_sync(self._trash.delete, each)
            return [_shape(each) for each in chosen]

    async def prune(self, *, older_than_hours: float, isolated_only: bool, dry_run: bool) -> Sequence[RealmInfo]:
        """Move realms that nobody uses to the trash. Returns what was, or would be, moved."""
        limit = time.time() - older_than_hours * _HOUR
        pruned = []
        for info in await self._registry.list():
            if isolated_only and info["origin"] != "generated":
                continue
            if info["connections"] or info["active_turns"] or "path" not in info:
                continue
            with _as_fault("look at the realm"):
                changed = await trio.to_thread.run_sync(last_change, info["path"])
            if changed > limit:
                continue
            if dry_run or await self._pruned(RealmId(info["realm_id"])):
                pruned.append(info)
        return pruned

    async def _pruned(self, realm_id: RealmId) -> bool:
        try:
            await self.delete(realm_id, force=False, bound=None)
        except (RealmInUse, RealmNotFound):
            # Somebody was faster.
            return False
        return True

    async def _listed(self) -> list[Trashed]:
        with _as_fault("look into the trash"):
            return await trio.to_thread.run_sync(self._trash.list)

    def _not_there(self, name: str | None) -> RealmNotFound:
        return RealmNotFound(
            f"The trash has no realm {name!r}.",
            details={"trash": self._trash.folder},
            hint="`rkat realms trash` shows what is there.",
        )


@contextmanager
def _as_fault(doing: str) -> Iterator[None]:
    """Tells an OSError as the domain error that it is."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing=doing) from error


def _shape(trashed: Trashed) -> TrashedRealm:
    shape: TrashedRealm = {
        "trash_id": trashed.trash_id,
        "deleted_at": trashed.deleted_at,
        "bytes_on_disk": trashed.bytes_on_disk,
        "path": trashed.path,
    }
    if trashed.manifest is not None:
        shape["realm_id"] = trashed.manifest.realm_id
        shape["backend"] = trashed.manifest.backend
        shape["origin"] = trashed.manifest.origin
    return shape


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
