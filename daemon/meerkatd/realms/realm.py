"""One realm while the daemon knows it: its store, opened at most once, its sessions, its tools.

A realm comes to be at its first write. Until then reads find nothing, and nothing is on the disk.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import cast

import trio

from .. import store as backends
from ..agent.agents import Agents
from ..agent.tools.callback import CallbackTools
from ..contract.connection import BackendName
from ..contract.realm import RealmDetails, RealmInfo
from ..errors import (
    BlobNotFound,
    MeerkatError,
    RealmBackendMismatch,
    RealmDamaged,
    RealmExists,
    RealmInUse,
    RealmNotFound,
    from_os_error,
)
from ..ids import RealmId, realm_folder_name
from ..sessions.clock import now_ms
from ..sessions.recovery import settle_lost_turns
from ..sessions.sessions import Sessions
from ..store.api import RealmStore
from ..store.blobs import Blob
from . import manifest as manifests
from . import switching
from .config.cell import ConfigCell
from .config.files import ConfigFiles
from .config.settings import RealmSettings
from .config.user import UserConfig
from .manifest import Manifest, Origin
from .trash import Trash

DEFAULT_BACKEND: BackendName = "sqlite"
# A caller that repeats a request does so within minutes; a week leaves room for a laptop that was closed meanwhile.
KEYS_KEPT_MS = 7 * 24 * 3600 * 1000
# When a realm is opened, and while it stays open about so often, when it comes to rest.
_PRUNE_EVERY_MS = 24 * 3600 * 1000
# Turns that are interrupted for a deletion commit within milliseconds; a slow disk is given this long.
LEAVE_SECONDS = 15.0
_LOOK_AGAIN_SECONDS = 0.05


class Realm:
    """A realm by id.

    Args:
        realm_id: which.
        realms_folder: where realms live below the state root.
        origin: how this id came about; pinned when the realm comes to be.
        user_config: the config beneath the realm's own.
        make_agents: builds the realm's way to models and tools.
        nursery: turns run in it.
        opened: told each time the store was opened.

    Attributes:
        connections: how many are bound to it.
        hint: backend for when it comes to be.
        config, settings: its config, and what that means together with the user's.
        gone: it was deleted, or is being deleted; nothing can be done with it any more.
    """

    def __init__(
        self,
        realm_id: RealmId,
        *,
        realms_folder: str,
        origin: Origin,
        user_config: UserConfig,
        make_agents: Callable[["Realm"], Agents],
        nursery: trio.Nursery,
        opened: Callable[[], None],
    ) -> None:
        self.realm_id = realm_id
        self.origin: Origin = origin
        self.hint: BackendName | None = None
        self.connections = 0
        self.gone = False
        self._held = False
        self._folder = os.path.join(realms_folder, realm_folder_name(realm_id))
        self._manifest: Manifest | None = None
        self._store: RealmStore | None = None
        self._opening = trio.Lock()
        self._opened = opened
        self._calls = 0
        self._tidied = False
        self._pruned_ms = 0
        self.last_used = trio.current_time()
        self.config = ConfigCell(realm_id, files=self._config_files, create=lambda: self.store(True))
        self.settings = RealmSettings(self.config, user_config)
        self.tools = CallbackTools(timeout=lambda name: self.settings.get().tools.callback_timeout_of(name))
        self.agents = make_agents(self)
        self.sessions = Sessions(realm_id, store=self.store, agents=self.agents, nursery=nursery)

    def __repr__(self) -> str:
        state = "open" if self._store is not None else "closed"
        return f"<Realm {self.realm_id} {state} connections={self.connections} turns={self.sessions.active_turns}>"

    @property
    def folder(self) -> str:
        return self._folder

    @property
    def is_open(self) -> bool:
        return self._store is not None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A request works on the realm: it is not closed meanwhile."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self.last_used = trio.current_time()
            self._tidied = False

    @property
    def idle(self) -> bool:
        """Nothing works on the realm right now. Connections that say nothing do not count."""
        return self._at_rest and not self._opening.locked()

    @property
    def _at_rest(self) -> bool:
        return self._calls == 0 and self.sessions.idle

    def manifest(self) -> Manifest | None:
        """The realm's manifest; None while it does not exist.

        Raises:
            RealmNotFound: it was deleted.
            RealmTooNew, RealmDamaged, PermissionDenied, StorageFailed.
        """
        self._check_there()
        if self._manifest is None:
            try:
                found = manifests.read(self._folder)
            except OSError as error:
                raise from_os_error(error, doing="read the realm's manifest") from error
            if found is not None and found.realm_id != self.realm_id:
                raise RealmDamaged(
                    f"The folder of realm {self.realm_id!r} holds realm {found.realm_id!r}: {self._folder}.",
                    details={"path": self._folder},
                )
            self._manifest = found
        return self._manifest

    def _check_there(self) -> None:
        if self.gone:
            raise RealmNotFound(f"Realm {self.realm_id!r} was deleted.", details={"realm_id": self.realm_id})

    def _check_contents(self, manifest: Manifest | None) -> None:
        """Refuse a folder whose sessions another manifest must have pinned: a new store beside them would hide them."""
        strange = backends.held(self._folder) - ({manifest.backend} if manifest is not None else set())
        if not strange:
            return
        said = "has no manifest" if manifest is None else f"is pinned to {manifest.backend!r} by its manifest"
        raise RealmDamaged(
            f"The realm {said}, but its folder holds sessions of the backend {min(strange)!r}: {self._folder}.",
            details={"path": self._folder},
            hint=f"Nothing was changed. Restore its {manifests.FILE_NAME} from a copy, or move the folder away.",
        )

    def _config_files(self) -> ConfigFiles | None:
        manifest = self.manifest()
        return None if manifest is None or manifest.backend == "memory" else ConfigFiles(self._folder)

    def check_backend(self, hint: BackendName | None) -> None:
        """Take a hint for a realm that does not exist yet; refuse one that contradicts the manifest.

        Raises:
            RealmBackendMismatch: naming both backends.
            BackendUnavailable: it is not installed.
        """
        existing = self.manifest()
        if hint is None:
            return
        pinned = existing.backend if existing is not None else self.hint
        if pinned is not None and pinned != hint:
            raise RealmBackendMismatch(
                f"Realm {self.realm_id!r} is pinned to the backend {pinned!r}; {hint!r} was asked for.",
                details={"realm_id": self.realm_id, "existing": pinned, "requested": hint},
            )
        backends.backend(hint)
        self.hint = hint

    async def store(self, create: bool) -> RealmStore | None:
        """The realm's store, opened by the first who asks; None when there is none and `create` is False.

        Turns that an earlier daemon did not live to end are settled before anybody sees the store.

        Raises:
            RealmNotFound: the realm was deleted.
            RealmTooNew, RealmDamaged, BackendUnavailable, StorageFull, StorageFailed, PermissionDenied.
        """
        self._check_there()
        if self._held:
            raise self._in_use("Another program works on the whole of")
        if (store := self._store) is not None:
            return store
        async with self._opening:
            if (store := self._store) is not None:
                return store
            # Also tells a realm that was deleted while this waited.
            self._check_there()
            await self._settle_conversion()
            manifest = self.manifest()
            self._check_contents(manifest)
            if manifest is None and not create:
                return None
            with trio.CancelScope(shield=True):
                self._store = await self._open(manifest)
                self._opened()
            return self._store

    async def _settle_conversion(self) -> None:
        """End what a daemon that died while it converted the realm has left."""
        if not switching.is_unsettled(self._folder):
            return
        trash = Trash(os.path.dirname(os.path.dirname(self._folder)))
        self._manifest = None
        try:
            await trio.to_thread.run_sync(switching.settle, self._folder, trash)
        except OSError as error:
            raise from_os_error(error, doing="end the realm's conversion") from error

    @asynccontextmanager
    async def held(self, *, own_calls: int) -> AsyncIterator[tuple[Manifest, RealmStore]]:
        """The realm's manifest and its store, which nobody else uses in the block; others get REALM_IN_USE. Afterwards
        the store is closed, and the next request opens what the manifest says then.

        Args:
            own_calls: requests of the caller that are under way.

        Raises:
            RealmInUse: turns are running, or requests did not end in time. And as `store` does.
        """
        if await self.store(False) is None:
            raise RealmNotFound(f"There is no realm {self.realm_id!r}.", details={"realm_id": self.realm_id})
        if self.sessions.running():
            raise self._in_use("Turns are running in")
        self._held = True
        try:
            await self._wait_for_calls(own_calls)
            async with self._opening:
                store, manifest = self._store, self.manifest()
                if store is None or manifest is None:
                    raise self._in_use("Others have just changed")
                try:
                    yield manifest, store
                finally:
                    with trio.CancelScope(shield=True):
                        self._store = self._manifest = None
                        self.sessions.forget_idle()
                        await store.aclose()
        finally:
            self._held = False

    async def _wait_for_calls(self, own_calls: int) -> None:
        with trio.move_on_after(LEAVE_SECONDS):
            while True:
                if self._calls <= own_calls and not self.sessions.running():
                    return
                await trio.sleep(_LOOK_AGAIN_SECONDS)
        raise self._in_use("Requests did not end in time in")

    def _in_use(self, what: str) -> RealmInUse:
        return RealmInUse(f"{what} realm {self.realm_id!r}.", details={"realm_id": self.realm_id})

    async def blob(self, blob_id: str) -> Blob:
        """Raises BlobNotFound, and what `store` raises."""
        store = await self.store(False)
        if store is None:
            raise BlobNotFound(f"blob not found: {blob_id}", details={"blob_id": blob_id})
        return await store.blobs.get(blob_id)

    async def _open(self, manifest: Manifest | None) -> RealmStore:
        exists = manifest is not None
        if manifest is None:
            manifest = Manifest(
                realm_id=self.realm_id,
                backend=self.hint or DEFAULT_BACKEND,
                origin=self.origin,
                created_at=int(time.time()),
            )
        backend = backends.backend(manifest.backend)
        if not exists and manifest.backend != "memory":
            try:
                await trio.to_thread.run_sync(manifests.create, self._folder, manifest)
            except OSError as error:
                raise from_os_error(error, doing="create the realm") from error
        store = await backend.open(self._folder, create=True)
        try:
            await settle_lost_turns(store, now_ms=now_ms())
            await self._prune_keys(store)
        except MeerkatError:
            await store.aclose()
            raise
        self._manifest = manifest
        return store

    async def close(self) -> None:
        """Close the store and give back its memory; the next request opens it again. A realm in memory stays, and one
        that is used again meanwhile."""
        if self._store is None or self._store.backend == "memory":
            return
        async with self._opening:
            # Taking the lock lets others run, and a request that has got the store must be able to rely on it.
            if not self._at_rest:
                return
            store, self._store = self._store, None
            self.sessions.forget_idle()
            if store is not None:
                await store.aclose()

    async def prove_store(self) -> None:
        """Return when the store answers, be it with an error."""
        store = self._store
        if store is None:
            return
        with suppress(MeerkatError, trio.ClosedResourceError):
            await store.running_turns()

    @property
    def throw_away(self) -> bool:
        """In memory, with an id that nobody was told to come back to, and no connection left that has it."""
        in_memory = self._store is not None and self._store.backend == "memory"
        return in_memory and self.origin == "generated" and self.connections == 0

    async def tidy(self) -> None:
        """Fold the store's logs, once for each time that the realm comes to rest."""
        if self._store is not None and not self._tidied:
            self._tidied = True
            await self._store.tidy()
            if now_ms() - self._pruned_ms >= _PRUNE_EVERY_MS:
                await self._prune_keys(self._store)

    async def _prune_keys(self, store: RealmStore) -> None:
        """Forget keys that are too old; a realm that is never closed must not keep them for ever."""
        self._pruned_ms = now_ms()
        await store.prune_keys(before_ms=self._pruned_ms - KEYS_KEPT_MS)

    async def aclose(self) -> None:
        """Close for good, at the daemon's end."""
        store, self._store = self._store, None
        if store is not None:
            await store.aclose()

    async def leave(self, move: Callable[[], str], *, reason: str, own_calls: int) -> str | None:
        """Give the realm up: interrupt its turns, wait for what is under way, close it, and `move` its folder away.

        From the first moment on nothing new can be done with it. Not to be cancelled.

        Args:
            move: runs in a thread; its result is returned. Not called for a realm in memory.
            own_calls: requests of the caller that are under way.

        Raises:
            RealmInUse: something did not end in time. StorageFailed, PermissionDenied: it cannot be moved. Either way
                the realm is as it was, but for its turns.
        """
        manifest = self.manifest()
        moved: str | None = None
        self.gone = True
        try:
            with trio.CancelScope(shield=True):
                await self._come_to_rest(reason, own_calls)
                await self.config.settled()
                async with self._opening:
                    store, self._store = self._store, None
                    self.sessions.forget_idle()
                    if store is not None:
                        await store.aclose()
                    self._manifest = None
                    if manifest is not None and manifest.backend != "memory":
                        moved = await trio.to_thread.run_sync(move)
        except OSError as error:
            self.gone = False
            raise from_os_error(error, doing="move the realm away") from error
        except BaseException:
            self.gone = False
            raise
        return moved

    async def _come_to_rest(self, reason: str, own_calls: int) -> None:
        with trio.move_on_after(LEAVE_SECONDS):
            while True:
                for turn in self.sessions.running():
                    turn.interrupt(reason)
                if self._calls <= own_calls and not self.sessions.running():
                    return
                await trio.sleep(_LOOK_AGAIN_SECONDS)
        raise RealmInUse(
            f"Requests of realm {self.realm_id!r} did not end within {LEAVE_SECONDS:g} seconds.",
            details={"realm_id": self.realm_id, "connections": self.connections},
        )

    async def come_back(self, move: Callable[[], None]) -> None:
        """`move` a folder to where the realm's is, unless there is one.

        Raises:
            RealmExists: there is one.
            OSError: it cannot be moved.
        """
        async with self._opening:
            if self.manifest() is not None:
                raise RealmExists(f"There is a realm {self.realm_id!r} already.", details={"realm_id": self.realm_id})
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(move)

    def info(self) -> RealmInfo:
        """What is known without opening it. Raises as `manifest` does."""
        manifest = self.manifest()
        shape: RealmInfo = {
            "realm_id": self.realm_id,
            "exists": manifest is not None,
            "origin": manifest.origin if manifest is not None else self.origin,
            "connections": self.connections,
            "active_turns": self.sessions.active_turns,
            "open": self.is_open,
        }
        backend = manifest.backend if manifest is not None else self.hint
        if backend is not None:
            shape["backend"] = backend
        if manifest is not None:
            shape["created_at"] = manifest.created_at
            if manifest.backend != "memory":
                shape["path"] = self._folder
        return shape

    async def details(self) -> RealmDetails:
        """What `realm/show` gives; opens the realm when it exists."""
        store = await self.store(False)
        shape = cast(RealmDetails, self.info())
        if store is not None:
            facts = await store.info()
            shape["sessions"] = facts.sessions
            shape["messages"] = facts.messages
            shape["bytes_on_disk"] = facts.bytes_on_disk
            shape["format_version"] = facts.format_version
        problem = self.settings.get().problem
        if problem is not None:
            shape["problem"] = problem().message
        return shape
