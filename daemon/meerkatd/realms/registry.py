"""All realms that this daemon knows: each is one object, opened once, closed when nobody has used it for a while."""

import os
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import trio

from ..agent.agents import Agents
from ..contract.connection import BackendName
from ..contract.realm import RealmInfo, UnreadableRealm
from ..errors import MeerkatError, RealmNotFound, from_os_error
from ..ids import RealmId
from . import manifest as manifests
from .config.user import UserConfig
from .manifest import Origin
from .realm import Realm

# An open realm that nobody used for this long gives back its descriptors and memory.
IDLE_CLOSE_SECONDS = 300.0
# Open realms; each holds up to eight descriptors (database, WAL, shared memory, a reader's, and some to spare).
MAX_OPEN_REALMS = 256
_DESCRIPTORS_PER_REALM = 8
# Left for connections, providers and logs.
_DESCRIPTORS_RESERVED = 128


def open_realms_limit() -> int:
    """How many realms may be open at once, given the limit of descriptors of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_OPEN_REALMS
    return max(8, min(MAX_OPEN_REALMS, (soft - _DESCRIPTORS_RESERVED) // _DESCRIPTORS_PER_REALM))


class Registry:
    """Realms by id.

    Args:
        state_root: realms live in its folder `realms`.
        user_config: the config beneath that of every realm.
        make_agents: builds a realm's way to models and tools.
        nursery: turns run in it.
    """

    def __init__(
        self,
        state_root: str,
        *,
        user_config: UserConfig,
        make_agents: Callable[[Realm], Agents],
        nursery: trio.Nursery,
    ) -> None:
        self.user_config = user_config
        self._folder = os.path.join(state_root, "realms")
        self._make_agents = make_agents
        self._nursery = nursery
        self._realms: dict[RealmId, Realm] = {}
        self._max_open = open_realms_limit()
        self._opened = trio.Event()

    def __repr__(self) -> str:
        return f"<Registry realms={len(self._realms)} open={self.open_realms}>"

    @property
    def open_realms(self) -> int:
        return sum(realm.is_open for realm in self._realms.values())

    @property
    def active_turns(self) -> int:
        return sum(realm.sessions.active_turns for realm in self._realms.values())

    @property
    def readers(self) -> int:
        return sum(realm.sessions.readers for realm in self._realms.values())

    def get(self, realm_id: RealmId, *, origin: Origin = "explicit") -> Realm:
        """The one object of a realm, whether the realm exists on the disk or not."""
        realm = self._realms.get(realm_id)
        if realm is None:
            realm = self._realms[realm_id] = Realm(
                realm_id,
                realms_folder=self._folder,
                origin=origin,
                user_config=self.user_config,
                make_agents=self._make_agents,
                nursery=self._nursery,
                opened=lambda: self._opened.set(),
            )
        return realm

    def bind(self, realm_id: RealmId, *, origin: Origin, hint: BackendName | None) -> Realm:
        """The realm of a new connection. Pair with `unbind`.

        Raises:
            RealmBackendMismatch, BackendUnavailable, RealmTooNew, RealmDamaged: it cannot be bound as asked.
        """
        realm = self.get(realm_id, origin=origin)
        try:
            realm.check_backend(hint)
        except MeerkatError:
            self._forget(realm)
            raise
        realm.connections += 1
        return realm

    def bind_unseen(self, realm_id: RealmId, *, origin: Origin, hint: BackendName | None) -> Realm:
        """The realm of a new connection, with nothing read of it. Pair with `unbind`."""
        realm = self.get(realm_id, origin=origin)
        realm.connections += 1
        return realm

    def unbind(self, realm: Realm) -> None:
        realm.connections -= 1
        realm.last_used = trio.current_time()
        self._forget(realm)

    @contextmanager
    def using(self, realm: Realm) -> Iterator[None]:
        """A request works on a realm, whichever its connection is bound to; what it left nothing of is forgotten."""
        try:
            with realm.in_use():
                yield
        finally:
            self._forget(realm)

    def _forget(self, realm: Realm) -> None:
        """Drop the object of a realm that exists nowhere else and that nobody uses."""
        if realm.connections == 0 and not realm.is_open and realm.idle and not realm.gone:
            self.drop(realm)

    def drop(self, realm: Realm) -> None:
        """Know the realm no more; connections that are bound to it keep the object."""
        if self._realms.get(realm.realm_id) is realm:
            del self._realms[realm.realm_id]

    def existing(self, realm_id: RealmId) -> Realm:
        """A realm that exists. Raises RealmNotFound."""
        realm = self.get(realm_id)
        if realm.manifest() is None:
            self._forget(realm)
            raise RealmNotFound(f"There is no realm {realm_id!r}.", details={"realm_id": realm_id})
        return realm

    async def list(self) -> list[RealmInfo]:
        """Every realm that exists and whose manifest can be read, by id."""
        rows, _ = await self.look()
        return [*rows]

    async def look(self) -> tuple[Sequence[RealmInfo], Sequence[UnreadableRealm]]:
        """As `list`; and the folders whose manifest cannot be read, with the reason."""
        try:
            found, unreadable = await trio.to_thread.run_sync(_scan, self._folder)
        except OSError as error:
            raise from_os_error(error, doing="list the realms") from error
        ids = set(found) | {realm.realm_id for realm in self._realms.values() if realm.is_open}
        rows = []
        for realm_id in sorted(ids):
            realm = self.get(realm_id)
            if not realm.gone:
                rows.append(realm.info())
            self._forget(realm)
        return rows, unreadable

    # -- life -----------------------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Close realms that are idle, for ever. Sleeps without a timer while none is open."""
        while True:
            with trio.move_on_after(IDLE_CLOSE_SECONDS / 2 if self.open_realms else float("inf")):
                await self._opened.wait()
            self._opened = trio.Event()
            await self.close_idle()

    async def close_idle(self) -> None:
        """Close what has been idle for long, and the ones idle for longest while too many are open."""
        now = trio.current_time()
        idle = [realm for realm in self._realms.values() if realm.is_open and realm.idle]
        idle.sort(key=lambda realm: realm.last_used)
        excess = self.open_realms - self._max_open
        for place, realm in enumerate(idle):
            if not realm.idle:
                continue
            if realm.throw_away:
                self.drop(realm)
                await realm.aclose()
            elif place < excess or now - realm.last_used >= IDLE_CLOSE_SECONDS:
                await realm.close()
                self._forget(realm)
            else:
                await realm.tidy()

    async def prove_stores(self) -> None:
        """Return when each store that is at work has carried out a job that does nothing, behind those before it."""
        async with trio.open_nursery() as proofs:
            for realm in self._realms.values():
                if realm.is_open and not realm.idle:
                    proofs.start_soon(realm.prove_store)

    def interrupt_all(self, reason: str) -> int:
        """Interrupt every turn. Returns how many there were."""
        turns = [turn for realm in self._realms.values() for turn in realm.sessions.running()]
        for turn in turns:
            turn.interrupt(reason)
        return len(turns)

    async def turns_ended(self) -> None:
        """Wait until no turn is running."""
        while turns := [turn for realm in self._realms.values() for turn in realm.sessions.running()]:
            await turns[0].done.wait()

    async def aclose(self) -> None:
        """Close every realm; shielded, so that nothing that was committed is left without its last checkpoint."""
        with trio.CancelScope(shield=True):
            for realm in list(self._realms.values()):
                await realm.aclose()


def _scan(folder: str) -> tuple[list[RealmId], list[UnreadableRealm]]:
    """Ids of the realms below `folder` whose manifest can be read, and the folders of the others."""
    ids: list[RealmId] = []
    unreadable: list[UnreadableRealm] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return ids, unreadable
    for entry in entries:
        try:
            manifest = manifests.read(entry.path)
        except OSError as error:
            unreadable.append(_unreadable(entry.path, from_os_error(error, doing="read the realm's manifest")))
        except MeerkatError as error:
            unreadable.append(_unreadable(entry.path, error))
        else:
            if manifest is not None:
                ids.append(manifest.realm_id)
    return ids, unreadable


def _unreadable(path: str, error: MeerkatError) -> UnreadableRealm:
    return {"path": path, "code": error.code, "message": error.message, "hint": error.hint}
