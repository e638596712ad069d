"""Adding to a session's transcript without asking for an answer.

    no turn runs    ─► appended at once                                                        "applied"
    a turn runs     ─► durable in the session's document ─► at the next call of the model,
                       or at the turn's end, part of what the turn commits                     "staged"
    key seen before ─► nothing                                                                 "duplicate"

A turn that is lost leaves what was staged in the document, from where its settling takes it: nothing that a caller was
told of is forgotten. Whoever changes the session holds `session.changing`, so that nothing is added between a turn's
last look at the document and its commit, or between its beginning and its reading of the transcript.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple, Protocol

import trio

from ..contract.message import AddedMessage, UserMessage
from ..errors import Overloaded, StorageUnknown
from ..ids import SessionId
from ..store.api import KeyRow, NewMessage, RealmStore, SessionChange
from .clock import rfc3339
from .keys import Keys
from .live import LiveSessions
from .recovery import Unsettled, not_written
from .request import KeyedRequest
from .session import Session
from .transcript import TranscriptMemory

Added = Literal["applied", "staged", "duplicate"]

# The document with what is staged is written anew with each addition, so many large ones would cost their square.
MAX_STAGED = 100
MAX_STAGED_CHARS = 1024 * 1024


class Addition(Protocol):
    """Something to be added."""

    def message(self, at_ms: int) -> AddedMessage:
        """The row of the transcript for it, added at that Unix time in milliseconds."""
        ...


class InjectedContext(NamedTuple):
    """A text, and who says it."""

    text: str
    source: str | None = None

    def message(self, at_ms: int) -> UserMessage:
        message: UserMessage = {
            "role": "user",
            "content": self.text,
            "created_at": rfc3339(at_ms),
            "transcript_role": "injected_context",
        }
        if self.source is not None:
            message["source"] = self.source
        return message


class Injection:
    """Adds to the transcripts of one realm. Arguments are those of `Admission`."""

    def __init__(
        self,
        *,
        live: LiveSessions,
        keys: Keys,
        transcripts: TranscriptMemory,
        unsettled: Unsettled,
        now_ms: Callable[[], int],
    ) -> None:
        self._live = live
        self._keys = keys
        self._transcripts = transcripts
        self._unsettled = unsettled
        self._now_ms = now_ms

    async def add(
        self, store: RealmStore, session_id: SessionId, addition: Addition, *, keyed: KeyedRequest | None
    ) -> Added:
        """Add a message. It is durable when this returns, and the model reads it with its next call.

        Raises:
            SessionArchived, SessionNotFound.
            Overloaded: too much is staged already; it goes on when the turn makes its next step.
            DuplicateInput: the key belongs to a different request.
        """
        if keyed is None:
            return await self._add(store, session_id, addition, None)
        async with self._keys.claim(store, keyed.key, digest=keyed.digest) as earlier:
            return "duplicate" if earlier else await self._add(store, session_id, addition, keyed)

    async def _add(
        self, store: RealmStore, session_id: SessionId, addition: Addition, keyed: KeyedRequest | None
    ) -> Added:
        status: Added = "applied"
        async with self._live.hold(session_id) as session, session.changing:
            session.check_open()
            at_ms = self._now_ms()
            message = addition.message(at_ms)
            key = keyed.row(session_id=session_id, turn_id=None, at_ms=at_ms) if keyed else None
            with trio.CancelScope(shield=True):
                # A turn that is not written ahead yet waits for the lock, and comes after this message.
                if session.turn is not None and session.turn.open:
                    status = "staged"
                    await self._stage(store, session, message, at_ms, key)
                else:
                    await self._unsettled.settle(store, session)
                    await self._append(store, session, message, at_ms, key)
        return status

    async def _append(
        self, store: RealmStore, session: Session, message: AddedMessage, at_ms: int, key: KeyRow | None
    ) -> None:
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        count = session.row.message_count + 1
        try:
            new = NewMessage(role=message["role"], body=body)
            await store.append(session.session_id, [new], updated_ms=at_ms, key=key)
        except StorageUnknown as unknown:
            row = await store.session(session.session_id)
            if row is None or row.message_count != count:
                raise not_written(unknown) from unknown
        self._transcripts.extend(session.session_id, [message], [body])
        session.row = replace(session.row, message_count=count, updated_ms=max(at_ms, session.row.updated_ms))

    async def _stage(
        self, store: RealmStore, session: Session, message: AddedMessage, at_ms: int, key: KeyRow | None
    ) -> None:
        staged = [*session.meta.injected, message]
        if len(staged) > MAX_STAGED or sum(len(str(each)) for each in staged) > MAX_STAGED_CHARS:
            raise Overloaded(
                f"Session {session.session_id} has too much waiting for the next step of its turn.",
                details={"session_id": session.session_id, "staged": len(staged) - 1},
                hint="Add it again when the turn has made its next step, or has ended.",
            )
        meta = replace(session.meta, injected=staged).dump()
        try:
            await store.change_session(session.session_id, SessionChange(updated_ms=at_ms, meta=meta), key=key)
        except StorageUnknown as unknown:
            row = await store.session(session.session_id)
            if row is None or row.meta != meta:
                raise not_written(unknown) from unknown
        session.replace_row(replace(session.row, meta=meta, updated_ms=max(at_ms, session.row.updated_ms)))
