"""The sessions of one realm: what can be done with them.

Everything here runs on the daemon's one event loop. A rule that must not race (one turn per session, one live object
per session, one request per idempotency key) is a check and a set with no await between them.
"""

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import trio

from ..agent.agents import Agents
from ..agent.credentials import Credentials
from ..agent.loop import AgentRun
from ..agent.models import Endpoint
from ..agent.port import ModelRequest
from ..contract.message import Content, Message
from ..contract.session import SessionInfo, SessionSummary
from ..contract.turn import Holder, TurnInfo
from ..errors import (
    MeerkatError,
    SessionNotFound,
    SessionNotRunning,
    StorageFailed,
    StorageUnknown,
)
from ..ids import SessionId, TurnId, new_session_id, new_turn_id
from ..store.api import (
    KeyRow,
    MessagePage,
    RealmStore,
    SessionChange,
    SessionQuery,
    SessionRow,
    TurnRow,
)
from . import refs, views
from .clock import now_ms, rfc3339
from .event_log import EventLog
from .keys import Keys
from .ledger import StoredLedger
from .meta import SessionMeta, join_prompts, title_of
from .recovery import settle_lost_turn
from .session import Session
from .transcript import Joined, TranscriptMemory
from .turn import Turn
from .turn_runner import TurnWork, run_turn

# Event numbers given out ahead of the store: a crash skips at most this many, and none is ever used twice.
EVENTS_RESERVED = 1 << 24
# Idle sessions kept in memory: a row and an empty event log are a few KiB.
IDLE_SESSIONS = 256
# A page's bodies: with the frame around them they stay well below what a reply may have.
PAGE_BYTES = 8 * 1024 * 1024
# Messages looked through for the last text of the assistant.
_LAST_MESSAGES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: shown as a turn's holder, and whose keys its turns use."""

    holder: Holder
    credentials: Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What a request says about the agent; None leaves what the session (or the config) has."""

    model: str | None = None
    provider: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    provider_params: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """An idempotency key with the digest of the request that it stands for."""

    key: str
    method: str
    digest: str

    def row(self, *, session_id: str, turn_id: str | None, at_ms: int) -> KeyRow:
        return KeyRow(
            key=self.key,
            method=self.method,
            digest=self.digest,
            session_id=session_id,
            turn_id=turn_id,
            created_ms=at_ms,
        )


class Sessions:
    """The sessions of one realm.

    Args:
        realm_id: of the realm.
        store: gives the realm's store; None when the realm does not exist yet and `create` is False.
        agents: models and tools.
        nursery: turns run in it; it outlives every connection.
        now_ms: the wall clock.
    """

    def __init__(
        self,
        realm_id: str,
        *,
        store: Callable[[bool], Awaitable[RealmStore | None]],
        agents: Agents,
        nursery: trio.Nursery,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._realm_id = realm_id
        self._open_store = store
        self._agents = agents
        self._nursery = nursery
        self._now_ms = now_ms
        self._live: OrderedDict[str, Session] = OrderedDict()
        self._loading: dict[str, trio.Event] = {}
        self._keys = Keys()
        self._transcripts = TranscriptMemory()
        # Sessions whose last turn could not be stored: it is settled before the next one.
        self._unsettled: set[str] = set()

    def __repr__(self) -> str:
        return f"<Sessions of {self._realm_id} live={len(self._live)} turns={self.active_turns}>"

    # -- what is going on -----------------------------------------------------------------------------------------

    @property
    def active_turns(self) -> int:
        return sum(session.turn is not None for session in self._live.values())

    @property
    def readers(self) -> int:
        """Event streams that are open."""
        return sum(session.events.readers for session in self._live.values())

    @property
    def idle(self) -> bool:
        """No turn, no reader, no request under way: the realm may be closed."""
        return not self._loading and all(session.idle for session in self._live.values())

    def running(self) -> list[Turn]:
        return [session.turn for session in self._live.values() if session.turn is not None]

    def forget_idle(self) -> None:
        """Give back the memory of everything that is idle."""
        self._transcripts.clear()
        for session_id in [each for each, session in self._live.items() if session.idle]:
            del self._live[session_id]

    # -- create and turns -----------------------------------------------------------------------------------------

    async def create(
        self,
        prompt: Content,
        *,
        caller: Caller,
        options: AgentOptions,
        labels: dict[str, str],
        deferred: bool,
        keyed: KeyedRequest | None = None,
    ) -> tuple[SessionId, Turn | None]:
        """Store a session, and unless `deferred` begin its first turn.

        Session, write-ahead row and idempotency key are one commit; nothing is left of a request that is refused. The
        turn runs on its own; wait for `turn.done`.

        Raises:
            InvalidParams, ProviderNotConfigured: the model cannot be used; nothing was stored.
            DuplicateInput: the key belongs to a different request.
        """
        endpoint = self._agents.choose(model=options.model, provider=options.provider, credentials=caller.credentials)
        store = await self._writable()
        if keyed is None:
            return await self._create(store, endpoint, prompt, caller, options, labels, deferred, None)
        async with self._keys.claim(store, keyed.key, digest=keyed.digest) as earlier:
            if earlier is not None:
                turn = await self._turn_again(store, earlier)
                return SessionId(earlier.session_id or ""), turn
            return await self._create(store, endpoint, prompt, caller, options, labels, deferred, keyed)

    async def _create(
        self,
        store: RealmStore,
        endpoint: Endpoint,
        prompt: Content,
        caller: Caller,
        options: AgentOptions,
        labels: dict[str, str],
        deferred: bool,
        keyed: KeyedRequest | None,
    ) -> tuple[SessionId, Turn | None]:
        at_ms = self._now_ms()
        session_id = new_session_id()
        meta = self._build_meta(endpoint, prompt, caller, options, deferred=deferred)
        row = SessionRow(
            session_id=session_id,
            created_ms=at_ms,
            updated_ms=at_ms,
            turn_count=0 if deferred else 1,
            event_seq=0 if deferred else EVENTS_RESERVED,
            labels=labels,
            meta=meta.dump(),
        )
        turn = None if deferred else self._new_turn(caller, ordinal=0, first_cursor=0, at_ms=at_ms)
        turn_row = None if turn is None else _turn_row(turn, session_id, prompt)
        key_row = (
            keyed.row(session_id=session_id, turn_id=turn.turn_id if turn else None, at_ms=at_ms) if keyed else None
        )
        with trio.CancelScope(shield=True):
            try:
                await store.create_session(row, turn=turn_row, key=key_row)
            except StorageUnknown as unknown:
                if await store.session(session_id) is None:
                    raise _not_written(unknown) from unknown
            if turn is not None:
                session = Session(row, self._log(session_id, last_seq=0))
                session.turn = turn
                self._live[session_id] = session
                self._start(session, turn, store, prompt, endpoint, options)
        return session_id, turn

    async def start_turn(
        self,
        session_id: SessionId,
        prompt: Content,
        *,
        caller: Caller,
        options: AgentOptions,
        keyed: KeyedRequest | None = None,
    ) -> Turn:
        """Admit a turn, write it ahead, and set it running. Wait for `turn.done`, then ask for its `outcome()`.

        Raises:
            SessionBusy: at once, naming the turn that runs.
            SessionArchived, SessionNotFound.
            InvalidParams, ProviderNotConfigured: the model cannot be used; nothing was stored.
            DuplicateInput: the key belongs to a different request.
        """
        store = await self._readable()
        if store is None:
            raise _no_session(session_id)
        if keyed is None:
            return await self._start_turn(store, session_id, prompt, caller, options, None)
        async with self._keys.claim(store, keyed.key, digest=keyed.digest) as earlier:
            if earlier is None:
                return await self._start_turn(store, session_id, prompt, caller, options, keyed)
            turn = await self._turn_again(store, earlier)
            assert turn is not None, "the key of a turn names its turn"
            return turn

    async def _start_turn(
        self,
        store: RealmStore,
        session_id: SessionId,
        prompt: Content,
        caller: Caller,
        options: AgentOptions,
        keyed: KeyedRequest | None,
    ) -> Turn:
        async with self.hold(session_id) as session:
            at_ms = self._now_ms()
            turn = self._new_turn(caller, ordinal=session.row.turn_count, first_cursor=session.events.last, at_ms=at_ms)
            session.admit(turn)
            try:
                endpoint = self._agents.choose(
                    model=options.model or session.meta.model,
                    provider=options.provider or (None if options.model else session.meta.provider),
                    credentials=caller.credentials,
                )
                with trio.CancelScope(shield=True):
                    await self._settle_earlier(store, session)
                    turn.ordinal = session.row.turn_count
                    joined = join_prompts(session.meta.staged, prompt) if session.meta.staged else prompt
                    await self._write_ahead(store, session, turn, joined, endpoint, options, keyed)
                    self._start(session, turn, store, joined, endpoint, options)
            except BaseException as error:
                if session.turn is turn:
                    session.turn = None
                    turn.error = error if isinstance(error, MeerkatError) else None
                    turn.done.set()
                raise
            return turn

    async def _write_ahead(
        self,
        store: RealmStore,
        session: Session,
        turn: Turn,
        prompt: Content,
        endpoint: Endpoint,
        options: AgentOptions,
        keyed: KeyedRequest | None,
    ) -> None:
        meta = replace(
            session.meta, model=endpoint.full_name, provider=endpoint.provider, staged=None, **_kept(options)
        )
        changed = meta.dump() if meta != session.meta else None
        reserved = session.events.last + EVENTS_RESERVED
        key_row = (
            keyed.row(session_id=session.session_id, turn_id=turn.turn_id, at_ms=turn.started_ms) if keyed else None
        )
        row = _turn_row(turn, session.session_id, prompt)
        try:
            await store.begin_turn(row, event_seq=reserved, meta=changed, key=key_row)
        except StorageUnknown as unknown:
            if await store.turn(turn.turn_id) is None:
                raise _not_written(unknown) from unknown
        session.replace_row(
            replace(
                session.row,
                updated_ms=turn.started_ms,
                turn_count=turn.ordinal + 1,
                event_seq=reserved,
                meta=changed or session.row.meta,
            )
        )

    async def _settle_earlier(self, store: RealmStore, session: Session) -> None:
        """A turn that could not be stored when it ended is told as lost before the next one begins."""
        if session.session_id not in self._unsettled:
            return
        last = await store.last_turn(session.session_id)
        if last is not None and last.state == "running":
            await settle_lost_turn(store, last, now_ms=self._now_ms())
            row = await store.session(session.session_id)
            assert row is not None
            session.replace_row(row)
        self._unsettled.discard(session.session_id)

    def _start(
        self,
        session: Session,
        turn: Turn,
        store: RealmStore,
        prompt: Content,
        endpoint: Endpoint,
        options: AgentOptions,
    ) -> None:
        session.events.forget_before(turn.first_cursor)
        defaults = self._agents.defaults()
        meta = session.meta

        async def build(output: list[Message]) -> AgentRun:
            provider = await self._agents.provider(endpoint)
            transcript = await self._transcripts.get(store, session.session_id)
            request = ModelRequest(
                model=endpoint.model,
                messages=Joined(transcript.messages, len(transcript.messages), output),
                system=meta.system_prompt,
                max_tokens=options.max_tokens or meta.max_tokens,
                temperature=options.temperature if options.temperature is not None else meta.temperature,
                extra={**defaults.provider_params, **meta.provider_params, **(options.provider_params or {})},
            )
            return AgentRun(
                provider=provider,
                request=request,
                tools=self._agents.tools,
                ledger=StoredLedger(store, turn.turn_id),
                emit=session.events.append,
                now=lambda: rfc3339(self._now_ms()),
                run_id=turn.turn_id,
                output=output,
            )

        work = TurnWork(
            session=session,
            turn=turn,
            store=store,
            prompt=prompt,
            session_ref=f"{self._realm_id}:{session.session_id}",
            build=build,
            transcripts=self._transcripts,
            now_ms=self._now_ms,
            unsettled=self._unsettled,
        )
        self._nursery.start_soon(run_turn, work, name=f"turn {turn.turn_id}")

    def _build_meta(
        self, endpoint: Endpoint, prompt: Content, caller: Caller, options: AgentOptions, *, deferred: bool
    ) -> SessionMeta:
        defaults = self._agents.defaults()
        return SessionMeta(
            model=endpoint.full_name,
            provider=endpoint.provider,
            title=title_of(prompt),
            system_prompt=options.system_prompt if options.system_prompt is not None else defaults.system_prompt,
            max_tokens=options.max_tokens or defaults.max_tokens,
            temperature=options.temperature if options.temperature is not None else defaults.temperature,
            provider_params=options.provider_params or {},
            staged=prompt if deferred else None,
            surface=caller.holder["surface"],
            instance_id=caller.holder.get("instance_id"),
            config_generation=defaults.generation,
        )

    def _new_turn(self, caller: Caller, *, ordinal: int, first_cursor: int, at_ms: int) -> Turn:
        return Turn(
            turn_id=new_turn_id(),
            ordinal=ordinal,
            holder=caller.holder,
            started_ms=at_ms,
            first_cursor=cast(Any, first_cursor),
        )

    async def _turn_again(self, store: RealmStore, earlier: KeyRow) -> Turn | None:
        """The turn of an earlier request with the same key: the running one, or how it ended."""
        if earlier.turn_id is None:
            return None
        live = self._live.get(earlier.session_id or "")
        if live is not None and live.turn is not None and live.turn.turn_id == earlier.turn_id:
            return live.turn
        row = await store.turn(earlier.turn_id)
        assert row is not None, "a key and its turn are written in one transaction"
        detail: dict[str, Any] = json.loads(row.detail) if row.detail else {}
        turn = Turn(
            turn_id=TurnId(row.turn_id),
            ordinal=row.ordinal,
            holder=json.loads(row.holder),
            started_ms=row.started_ms,
            first_cursor=cast(Any, 0),
            result=detail.get("result"),
        )
        error: dict[str, Any] | None = detail.get("error") or (None if turn.result else _TURN_UNSETTLED)
        if error is not None:
            turn.error = MeerkatError(error["message"], code=error["code"], details=error.get("details"))
        turn.done.set()
        return turn

    async def interrupt(self, session_id: SessionId, *, turn_id: str | None, by: Holder) -> Turn:
        """Cancel the running turn and wait until what it produced is committed.

        Raises:
            SessionNotRunning: no turn runs (or not the one that was named).
            SessionNotFound.
        """
        async with self.hold(session_id) as session:
            turn = session.turn
            if turn is None or (turn_id is not None and turn.turn_id != turn_id):
                raise SessionNotRunning(
                    f"No turn is running in session {session_id}."
                    if turn is None
                    else f"Another turn than {turn_id} is running in session {session_id}.",
                    details={"session_id": session_id},
                )
            turn.interrupt(f"interrupted by {by['client']} ({by['surface']})")
            await turn.done.wait()
            return turn

    # -- changes --------------------------------------------------------------------------------------------------

    async def set_archived(
        self, session_id: SessionId, archived: bool, *, keyed: KeyedRequest | None = None
    ) -> SessionRow:
        """Archive or bring back.

        Raises:
            SessionBusy: a turn is running.
            SessionArchived: it is archived already.
        """
        store = await self._readable()
        if store is None:
            raise _no_session(session_id)
        if keyed is None:
            return await self._set_archived(store, session_id, archived, None)
        async with self._keys.claim(store, keyed.key, digest=keyed.digest) as earlier:
            if earlier is None:
                return await self._set_archived(store, session_id, archived, keyed)
            async with self.hold(session_id) as session:
                return session.row

    async def _set_archived(
        self, store: RealmStore, session_id: SessionId, archived: bool, keyed: KeyedRequest | None
    ) -> SessionRow:
        async with self.hold(session_id) as session:
            session.check_unused()
            if archived:
                session.check_open()
            at_ms = self._now_ms()
            key_row = keyed.row(session_id=session_id, turn_id=None, at_ms=at_ms) if keyed else None
            session.closing = True
            try:
                with trio.CancelScope(shield=True):
                    change = SessionChange(updated_ms=at_ms, archived=archived)
                    session.replace_row(await store.change_session(session_id, change, key=key_row))
            finally:
                session.closing = False
            return session.row

    async def set_labels(self, session_id: SessionId, labels: dict[str, str | None]) -> SessionRow:
        """Set (text) and remove (None) labels. Allowed while a turn runs; it does not touch the transcript."""
        store = await self._writable()
        async with self.hold(session_id) as session:
            session.check_open()
            merged = {**session.row.labels, **labels}
            kept = {key: value for key, value in merged.items() if value is not None}
            with trio.CancelScope(shield=True):
                change = SessionChange(updated_ms=self._now_ms(), labels=kept)
                session.replace_row(await store.change_session(session_id, change))
            return session.row

    # -- reads ----------------------------------------------------------------------------------------------------

    async def resolve(self, reference: str) -> SessionId:
        """See `refs.resolve`."""
        return await refs.resolve(reference, store=await self._readable(), realm_id=self._realm_id)

    async def list(self, query: SessionQuery) -> list[SessionSummary]:
        store = await self._readable()
        if store is None:
            return []
        return [self._summary(row, store) for row in await store.sessions(query)]

    async def history(self, session_id: SessionId, *, offset: int, limit: int) -> MessagePage:
        """A page of committed messages. Raises SessionNotFound."""
        store = await self._readable()
        try:
            if store is None:
                raise KeyError(session_id)
            return await store.messages(session_id, offset=offset, limit=limit, max_bytes=PAGE_BYTES)
        except KeyError:
            raise _no_session(session_id) from None

    async def read(self, session_id: SessionId) -> SessionInfo:
        """What `session/read` shows. Raises SessionNotFound."""
        store = await self._readable()
        if store is None:
            raise _no_session(session_id)
        async with self.hold(session_id) as session:
            info = cast(SessionInfo, dict(self._summary(session.row, store)))
            info["usage"] = cast(Any, views.usage(session.row.usage))
            info["cursor"] = session.events.last
            if session.meta.system_prompt is not None:
                info["system_prompt"] = session.meta.system_prompt
            if session.meta.staged is not None:
                info["staged_prompt"] = _text(session.meta.staged)
            if session.turn is not None:
                info["active_turn"] = session.turn.facts()
            last_text = await self._last_text(store, session.row)
            if last_text is not None:
                info["last_assistant_text"] = last_text
            last = await store.last_turn(session_id)
            if last is not None and last.state != "running":
                info["last_turn"] = views.turn_info(last, await store.tools(last.turn_id))
            return info

    async def turn(self, session_id: SessionId, turn_id: str | None) -> TurnInfo:
        """A turn with its ledger; the last one when none is named. Raises SessionNotFound, SessionNotRunning."""
        store = await self._readable()
        async with self.hold(session_id):
            assert store is not None, "a session that is held has a store"
            row = await (store.turn(turn_id) if turn_id else store.last_turn(session_id))
            if row is None or row.session_id != session_id:
                raise SessionNotRunning(
                    f"Session {session_id} has no turn {turn_id}."
                    if turn_id
                    else f"Session {session_id} has no turn yet.",
                    details={"session_id": session_id},
                )
            return views.turn_info(row, await store.tools(row.turn_id))

    async def _last_text(self, store: RealmStore, row: SessionRow) -> str | None:
        offset = max(0, row.message_count - _LAST_MESSAGES)
        page = await store.messages(row.session_id, offset=offset, limit=_LAST_MESSAGES, max_bytes=PAGE_BYTES)
        for body in reversed(page.bodies):
            message: Message = json.loads(body)
            if message["role"] == "block_assistant":
                texts = [block["data"]["text"] for block in message["blocks"] if block["block_type"] == "text"]
                if texts:
                    return "".join(texts)
        return None

    def _summary(self, row: SessionRow, store: RealmStore) -> SessionSummary:
        live = self._live.get(row.session_id)
        active = live is not None and live.turn is not None
        return views.summary(row, realm_id=self._realm_id, backend=store.backend, active=active)

    # -- live objects ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def hold(self, session_id: SessionId) -> AsyncIterator[Session]:
        """The one live object of a session, kept in memory while the block runs.

        Raises:
            SessionNotFound: the realm has no such session.
        """
        session = self._live.get(session_id) or await self._load(session_id)
        session.users += 1
        self._live.move_to_end(session_id)
        try:
            yield session
        finally:
            session.users -= 1
            self._forget_oldest()

    async def _load(self, session_id: SessionId) -> Session:
        # One load at a time for each session: a row read by a second one could be older than a turn that the first
        # one has admitted, ended and forgotten meanwhile.
        while (other := self._loading.get(session_id)) is not None:
            await other.wait()
            if (session := self._live.get(session_id)) is not None:
                return session
        loaded = self._loading[session_id] = trio.Event()
        try:
            store = await self._readable()
            row = await store.session(session_id) if store is not None else None
            if row is None:
                raise _no_session(session_id)
            session = self._live[session_id] = Session(row, self._log(session_id, last_seq=row.event_seq))
            return session
        finally:
            del self._loading[session_id]
            loaded.set()

    def _forget_oldest(self) -> None:
        if len(self._live) <= IDLE_SESSIONS:
            return
        for session_id, session in self._live.items():
            if session.idle:
                del self._live[session_id]
                return

    def _log(self, session_id: str, *, last_seq: int) -> EventLog:
        return EventLog(session_id, last_seq=last_seq, now_ms=self._now_ms)

    async def _readable(self) -> RealmStore | None:
        return await self._open_store(False)

    async def _writable(self) -> RealmStore:
        store = await self._open_store(True)
        assert store is not None, "opening with create gives a store or raises"
        return store


_TURN_UNSETTLED: dict[str, Any] = {
    "code": "TURN_LOST",
    "message": "The turn ended, but how it ended could not be stored.",
}


def _turn_row(turn: Turn, session_id: SessionId, prompt: Content) -> TurnRow:
    return TurnRow(
        turn_id=turn.turn_id,
        session_id=session_id,
        ordinal=turn.ordinal,
        state="running",
        started_ms=turn.started_ms,
        prompt=json.dumps(prompt, ensure_ascii=False),
        holder=json.dumps(turn.holder, ensure_ascii=False),
    )


def _kept(options: AgentOptions) -> dict[str, Any]:
    """What a turn's options change for the turns after it: nothing but the model, which the caller handles."""
    return {} if options.system_prompt is None else {"system_prompt": options.system_prompt}


def _text(content: Content) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


def _no_session(session_id: str) -> SessionNotFound:
    return SessionNotFound(f"There is no session {session_id} in this realm.", details={"session_id": session_id})


def _not_written(unknown: StorageUnknown) -> StorageFailed:
    """The store was opened again and the request is not in it: now it is known that nothing was written."""
    return StorageFailed(f"The disk failed and nothing was written: {unknown.message}", details=unknown.details)
