"""Reading a realm through, while it is used, and saying what is wrong with it.

The store is copied as of one moment and the copy is examined, so that turns wait for nothing but the copying's steps.
Findings are those of the doctor: what is well is told, too. Nothing is changed, but that a realm which is opened for it
is opened as any request would: lost turns are settled, an older format is brought to the newest.
"""

import os
import re
from collections.abc import AsyncIterator, Sequence

import trio

from ..contract.finding import Finding
from ..errors import MeerkatError, RealmNotFound, from_os_error
from ..ids import RealmId
from ..store.api import RealmStore
from ..store.blobs import FOLDER, ID, PREFIX
from ..store.digest import digests
from ..store.parts import sessions_of
from .incoming import Incoming, as_fault
from .realm import Realm

# As a message's document names it. In a text the quotes are escaped, so what somebody writes does not look like it.
_NAMED = re.compile(rf'"blob_id":\s*"({ID.pattern})"')
_ROWS = 500
_BYTES = 1 << 20
_RESTORE = "Restore a backup under another id (`rkat realms restore PATH --as REALM`), and compare."


class Checks:
    """Examines realms, one after another."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    async def examine(self, realm_id: RealmId) -> list[Finding]:
        """Everything about a realm, its manifest first. What cannot be read is a finding and no error.

        Raises:
            RealmNotFound: there is no realm. StorageFull, StorageFailed: there is no room for the copy.
        """
        registry = self._incoming.registry
        realm = registry.get(realm_id)
        with registry.using(realm):
            _check_there(realm)
            return [finding async for finding in self._findings(realm)]

    async def _findings(self, realm: Realm) -> AsyncIterator[Finding]:
        async with self._incoming.turn, self._incoming.fresh() as folder:
            try:
                store = await _opened(realm)
            except MeerkatError as error:
                yield wrong("realm.store" if _is_pinned(realm) else "realm.manifest", realm.realm_id, error)
                return
            yield well("realm.manifest", realm.realm_id, f"can be read; the backend is {store.backend}")
            yield _config(realm)
            kept: set[str] = set()
            async for finding in _blobs(realm, store, kept):
                yield finding
            for finding in await trio.to_thread.run_sync(_strangers, realm.folder):
                yield finding
            try:
                with as_fault("copy the store"):
                    copy = await store.copy_to(folder)
            except MeerkatError as error:
                yield wrong("realm.store", realm.realm_id, error)
                return
            try:
                async for finding in _store(realm, copy, kept):
                    yield finding
            finally:
                with trio.CancelScope(shield=True):
                    await copy.aclose()


def _check_there(realm: Realm) -> None:
    if not realm.is_open and not os.path.isdir(realm.folder):
        raise RealmNotFound(f"There is no realm {realm.realm_id!r}.", details={"realm_id": realm.realm_id})


def _is_pinned(realm: Realm) -> bool:
    """Whether the manifest can be read, so that what does not work is the store."""
    try:
        return realm.manifest() is not None
    except MeerkatError:
        return False


async def _opened(realm: Realm) -> RealmStore:
    store = await realm.store(False)
    if store is None:
        raise RealmNotFound(
            f"The folder {realm.folder} has no manifest, so nothing can open it.",
            hint="Put its realm_manifest.json back from a copy, or move the folder away.",
        )
    return store


def _config(realm: Realm) -> Finding:
    try:
        problem = realm.config.look().problem
        error = None if problem is None else problem()
    except MeerkatError as unreadable:
        error = unreadable
    if error is not None:
        return wrong("realm.config", realm.realm_id, error)
    return well("realm.config", realm.realm_id, "is in order")


async def _blobs(realm: Realm, store: RealmStore, kept: set[str]) -> AsyncIterator[Finding]:
    """All that are there go into `kept`, those that are damaged too: they are told once."""
    for blob_id in await store.blobs.ids():
        try:
            await store.blobs.get(blob_id)
        except MeerkatError as error:
            yield wrong("realm.blob", blob_id, error)
        kept.add(blob_id)
    yield well("realm.blobs", realm.realm_id, f"{len(kept)} blobs were looked at")


def _strangers(realm_folder: str) -> list[Finding]:
    """Files among the blobs that are none."""
    folder = os.path.join(realm_folder, FOLDER)
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        return [wrong("realm.blobs", folder, from_os_error(error, doing="list the blobs"))]
    return [
        {
            "check": "realm.blobs",
            "level": "warning",
            "subject": os.path.join(folder, name),
            "message": "is no blob: a crash left it unfinished, or somebody put it there",
            "mend": "Delete it: no message can name it.",
        }
        for name in names
        if not ID.fullmatch(PREFIX + name)
    ]


async def _store(realm: Realm, copy: RealmStore, kept: set[str]) -> AsyncIterator[Finding]:
    try:
        problems = await copy.problems()
        count = len(await digests(copy)) if not problems else 0
    except MeerkatError as error:
        yield wrong("realm.store", realm.realm_id, error)
        return
    for problem in problems:
        yield {
            "check": "realm.store",
            "level": "error",
            "subject": realm.realm_id,
            "message": problem,
            "code": "REALM_DAMAGED",
            "mend": _RESTORE,
        }
    if problems:
        return
    async for session_id, blob_id in _named(copy):
        if blob_id in kept:
            continue
        yield {
            "check": "realm.blob",
            "level": "error",
            "subject": session_id,
            "message": f"a message names the blob {blob_id}, which is not there",
            "code": "BLOB_NOT_FOUND",
            "mend": f"Copy the file {blob_id.removeprefix(PREFIX)} from the folder blobs of a backup into the realm's.",
        }
    yield well("realm.store", realm.realm_id, f"{count} sessions were read through")


async def _named(copy: RealmStore) -> AsyncIterator[tuple[str, str]]:
    """Blobs that messages name, each with a session that does."""
    told: set[str] = set()
    async for row, _ in sessions_of(copy):
        offset = 0
        while offset < row.message_count:
            page = await copy.messages(row.session_id, offset=offset, limit=_ROWS, max_bytes=_BYTES)
            offset += len(page.bodies)
            for blob_id in _new(page.bodies, told):
                yield row.session_id, blob_id


def _new(bodies: Sequence[str], told: set[str]) -> list[str]:
    found = dict.fromkeys(name for body in bodies for name in _NAMED.findall(body) if name not in told)
    told.update(found)
    return list(found)


def well(check: str, subject: str, message: str) -> Finding:
    return {"check": check, "level": "ok", "subject": subject, "message": message}


def wrong(check: str, subject: str, error: MeerkatError) -> Finding:
    return {
        "check": check,
        "level": "error",
        "subject": subject,
        "message": error.message,
        "code": error.code,
        "mend": error.hint,
    }
