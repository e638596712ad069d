"""Session references: the ways in which a person may name a session."""

import re

from ..errors import InvalidParams, SessionNotFound
from ..ids import SessionId, is_uuid
from ..store.api import RealmStore, SessionQuery

# Shorter prefixes name too many sessions to be meant.
MIN_PREFIX_CHARS = 4
_PREFIX = re.compile(r"[0-9a-f-]+")
_RECENT = re.compile(r"~(\d{0,6})")
# Candidates named in the message about an ambiguous prefix.
_SHOWN = 5


async def resolve(reference: str, *, store: RealmStore | None, realm_id: str) -> SessionId:
    """The session that `reference` names: a UUID, `realm:uuid`, `last`, `~N` (`~0` is `last`), or a unique prefix.

    A full UUID is taken as it is; whether there is such a session is found out by whoever uses it.

    Raises:
        InvalidParams: another realm's session, an ambiguous prefix, or no reference at all.
        SessionNotFound: nothing matches.
    """
    text = reference.strip().lower()
    realm, colon, rest = reference.strip().partition(":")
    if colon:
        if realm != realm_id:
            raise InvalidParams(
                f"The session {reference!r} belongs to another realm; this connection is bound to {realm_id!r}.",
                details={"field": "session_id", "realm_id": realm_id},
                hint=f"Use --realm {realm}.",
            )
        text = rest.lower()
    if len(text) == 36 and is_uuid(text):
        return SessionId(text)
    recent = _RECENT.fullmatch("~0" if text == "last" else text)
    if recent:
        return await _recent(store, int(recent[1] or 0), reference=reference)
    if len(text) < MIN_PREFIX_CHARS or not _PREFIX.fullmatch(text):
        raise InvalidParams(
            f"{reference!r} is no session reference: give a UUID, {MIN_PREFIX_CHARS} or more of its first characters, "
            "`last` or `~N`.",
            details={"field": "session_id"},
        )
    return await _by_prefix(store, text)


async def _recent(store: RealmStore | None, place: int, *, reference: str) -> SessionId:
    rows = await store.sessions(SessionQuery(offset=place, limit=1)) if store is not None else ()
    if not rows and place:
        raise SessionNotFound(f"There is no session {reference}: the realm does not have that many.")
    if not rows:
        raise SessionNotFound(
            "There is no last session: this realm has none that is on the list.",
            hint='`rkat run "..."` starts one; another folder, or another --realm, has other sessions.',
        )
    return SessionId(rows[0].session_id)


async def _by_prefix(store: RealmStore | None, prefix: str) -> SessionId:
    found = await store.sessions_by_prefix(prefix, limit=_SHOWN + 1) if store is not None else ()
    if not found:
        raise SessionNotFound(f"No session begins with {prefix!r}.", details={"prefix": prefix})
    if len(found) > 1:
        shown = ", ".join(sorted(found)[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise InvalidParams(
            f"{prefix!r} is the beginning of more than one session: {shown}.",
            details={"field": "session_id", "candidates": sorted(found)[:_SHOWN]},
            hint="Give more characters.",
        )
    return SessionId(found[0])
