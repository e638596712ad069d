"""One realm's config: its one owner, with compare-and-set.

Reads look at the file's stamp first, so that an edit by hand counts at once, as a generation of its own. An edit that
cannot be used is told by whoever reads the config or starts a turn, with file, line and key; the last good config
stays in memory, but nothing runs on it behind its author's back: `config/set` and mending the file are the ways on.

Writes go one after another: look, compare, make the new text (in a thread), look again, commit. From the commit on
nothing can cancel one. While it runs, readers see what was before it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import trio

from ...errors import (
    ConfigConflict,
    ConfigInvalid,
    DuplicateInput,
    InvalidParams,
    MeerkatError,
    StorageUnknown,
    from_os_error,
)
from ...sessions.request import KeyedRequest
from . import text as config_text
from .check import ConfigFault, check_document
from .files import ABSENT, ConfigFiles, EditedMeanwhile, Stamp
from .state import ConfigState, WriteKey, digest_of, settle

log = logging.getLogger(__name__)

_WAY_ON = "Mend the file there, or replace it whole with `rkat config set`."

Change = Callable[["ConfigVersion"], str]
"""Makes the new text from the version that it replaces; runs in a thread. Raises ConfigFault, NoSecretToKeep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigVersion:
    """What a config says at one generation. Identical as an object for as long as nothing has changed.

    Attributes:
        generation: of the file.
        plain, text: the last good config; that of an earlier generation when there is a problem.
        problem: makes the error of whoever wants to use the config, when the file cannot be used.
    """

    generation: int = 0
    plain: Mapping[str, Any]
    text: str = ""
    problem: Callable[[], MeerkatError] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Outcome of a write: the generation that it made, now or when it was asked for first (`replayed`).

    `version` is what it made; for a replay, what the config says now.
    """

    generation: int
    version: ConfigVersion
    replayed: bool = False


class ConfigCell:
    """The config of one realm.

    Args:
        realm_id: for errors.
        files: where it is; None while the realm has no folder, or never will have one.
        create: makes the realm, at its first write.
    """

    def __init__(
        self, realm_id: str, *, files: Callable[[], ConfigFiles | None], create: Callable[[], Awaitable[object]]
    ) -> None:
        self._realm_id = realm_id
        self._files = files
        self._create = create
        self._lock = trio.Lock()
        self._writing = False
        self._loaded = False
        self._stamp: Stamp = ABSENT
        self._state = ConfigState()
        self._version = ConfigVersion(plain={})
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return f"<ConfigCell of {self._realm_id} generation={self._version.generation}>"

    # -- reads ----------------------------------------------------------------------------------------------------

    def look(self) -> ConfigVersion:
        """What the config says right now, a problem included.

        Raises:
            RealmDamaged, PermissionDenied, StorageFull, StorageFailed: it cannot be told.
        """
        if not self._writing:
            try:
                self._refresh()
            except OSError as error:
                raise from_os_error(error, doing="read the config") from error
        return self._version

    def current(self) -> ConfigVersion:
        """What the config says, when it can be used.

        Raises:
            ConfigInvalid: it was edited into something that cannot. And as `look`.
        """
        version = self.look()
        if version.problem is not None:
            raise version.problem()
        return version

    async def next_change(self) -> None:
        """Wait until somebody notices that the generation has changed; `look` now and then to be the one."""
        await self._changed.wait()

    def retire(self) -> None:
        """Wake who waits: the realm is gone."""
        self._tell()

    @property
    def busy(self) -> bool:
        return self._lock.locked()

    async def settled(self) -> None:
        """Wait until no write is under way."""
        async with self._lock:
            pass

    def _refresh(self) -> None:
        files = self._files()
        if files is None:
            return
        stamp = files.stamp()
        if self._loaded and stamp == self._stamp and stamp.settled:
            return
        data = files.read()
        digest = digest_of(data)
        if not self._loaded:
            known = files.load_state()
            state = settle(known, digest)
            if state != (known or ConfigState()):
                files.save_state(state)
            self._take(state, data, files)
            self._loaded = True
        elif digest != self._state.digest:
            state = self._state.edited(digest)
            # Durable before anybody sees it: a generation must not be used twice.
            files.save_state(state)
            self._take(state, data, files)
            log.info("config edited by hand", extra={"realm": self._realm_id, "generation": state.generation})
        self._stamp = stamp

    def _take(self, state: ConfigState, data: bytes, files: ConfigFiles | None) -> None:
        """Make `data` what the config says."""
        self._state = state
        try:
            plain = config_text.parse(data)
            check_document(plain)
        except ConfigFault as fault:
            assert files is not None, "what is not in a file was checked before"
            self._version = ConfigVersion(
                generation=state.generation,
                plain=self._version.plain,
                text=self._version.text,
                problem=unusable(fault, data, path=files.path, way_on=_WAY_ON, generation=state.generation),
            )
        else:
            text = data.decode("utf-8-sig")
            self._version = ConfigVersion(generation=state.generation, plain=plain, text=text)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # -- writes ---------------------------------------------------------------------------------------------------

    async def write(
        self, change: Change, *, expected: int | None, keyed: KeyedRequest | None, where: str, mend: bool
    ) -> Written:
        """Replace the config by what `change` makes of it. One commit; durable when it returns.

        Args:
            expected: the generation that must be there.
            where: name of the params field with the new values, for errors.
            mend: whether it may replace a config that cannot be used.

        Raises:
            ConfigConflict: another generation is there.
            InvalidParams: the new config would not be valid. Nothing was changed.
            DuplicateInput: the key belongs to a different request.
            ConfigInvalid: what is there cannot be used, and `mend` is false.
            StorageFull, StorageFailed, PermissionDenied: nothing was changed.
            StorageUnknown: it was changed, but may not survive a power cut.
        """
        async with self._lock:
            while True:
                base = self.look()
                earlier = self._earlier(keyed)
                if earlier is not None:
                    return Written(generation=earlier.generation, version=base, replayed=True)
                self._compare(expected, base.generation)
                if base.problem is not None and not mend:
                    raise base.problem()
                try:
                    text = await trio.to_thread.run_sync(change, base)
                    check_document(config_text.parse(text))
                except ConfigFault as fault:
                    raise _refused(fault, where) from None
                with trio.CancelScope(shield=True):
                    await self._create()
                    if self.look() is not base:
                        continue
                    try:
                        version = await self._commit(text.encode(), keyed)
                        return Written(generation=version.generation, version=version)
                    except EditedMeanwhile:
                        continue

    def _earlier(self, keyed: KeyedRequest | None) -> WriteKey | None:
        earlier = self._state.key(keyed.key) if keyed is not None else None
        if keyed is not None and earlier is not None and earlier.digest != keyed.digest:
            raise DuplicateInput(
                f"The idempotency key {keyed.key!r} was used for a different {earlier.method} request.",
                details={"idempotency_key": keyed.key, "method": earlier.method},
            )
        return earlier

    def _compare(self, expected: int | None, current: int) -> None:
        if expected is not None and expected != current:
            raise ConfigConflict(
                f"The config of realm {self._realm_id!r} has generation {current}, not {expected}.",
                details={"expected_generation": expected, "current_generation": current},
            )

    async def _commit(self, data: bytes, keyed: KeyedRequest | None) -> ConfigVersion:
        generation = self._state.generation + 1
        key = (
            None
            if keyed is None
            else WriteKey(key=keyed.key, method=keyed.method, digest=keyed.digest, generation=generation)
        )
        state = self._state.written(digest_of(data), key=key)
        files = self._files()
        if files is not None:
            self._writing = True
            try:
                await trio.to_thread.run_sync(files.write, state, data)
                self._stamp = files.stamp()
            except OSError as error:
                raise self._fault_of_write(error, files, state, data) from error
            finally:
                self._writing = False
        self._take(state, data, files)
        return self._version

    def _fault_of_write(self, error: OSError, files: ConfigFiles, state: ConfigState, data: bytes) -> MeerkatError:
        """After a failed write: did it happen all the same?"""
        known = from_os_error(error, doing="write the config")
        try:
            happened = digest_of(files.read()) == state.digest != self._state.digest
        except OSError:
            return known
        if not happened:
            return known
        self._take(state, data, files)
        return StorageUnknown(known.message, details={**known.details, "generation": state.generation})


def _refused(fault: ConfigFault, where: str) -> InvalidParams:
    field = ".".join((where, *fault.path))
    details: dict[str, Any] = {"field": field}
    place = ""
    if isinstance(fault, config_text.NotToml) and fault.line is not None:
        details["line"] = fault.line
        place = f" (line {fault.line})"
    return InvalidParams(f"{field}: {fault.what}{place}.".replace("?.", "?"), details=details)


def unusable(
    fault: ConfigFault, data: bytes, *, path: str, way_on: str, generation: int | None = None
) -> Callable[[], MeerkatError]:
    """Makes the error for a config file that cannot be used, anew for each who is told.

    Args:
        data: what the file holds.
        way_on: the hint.
    """
    line = fault.line if isinstance(fault, config_text.NotToml) else None
    if line is None and fault.path:
        line = config_text.line_of(data.decode("utf-8-sig", "replace"), fault.path)
    key = ".".join(fault.path)
    place = f"{path}{f', line {line}' if line else ''}"
    details: dict[str, Any] = {"path": path, "line": line, "field": key or None}
    if generation is not None:
        details["generation"] = generation

    def problem() -> MeerkatError:
        return ConfigInvalid(
            f"The config cannot be used: {place}: {f'{key}: ' if key else ''}{fault.what}.".replace("?.", "?"),
            details=details,
            hint=way_on,
        )

    return problem
