"""The sessions of one realm: what can be done with them.

Everything here runs on the daemon's one event loop. A rule that must not race (one turn per session, one live object
per session, one request per idempotency key) is a check and a set with no await between them.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import trio

from ..agent.agents import Agents
from ..agent.providers.history import plain_text
from ..agent.tools.mcp.spec import ServerSpec
from ..contract.message import Content, Message
from ..contract.session import SessionInfo, SessionSummary
from ..contract.turn import Holder, TurnInfo
from ..errors import SessionNotRunning, StorageUnknown
from ..ids import SessionId
from ..store.api import MessagePage, RealmStore, SessionChange, SessionQuery, SessionRow, UsageRow
from . import refs, views
from .admission import Admission
from .approvals import RealmApprovals
from .clock import now_ms
from .compacting import Compact
from .cost import cost_of_usage
from .forking import Forking
from .images import PromptContent
from .injection import Added, Addition, InjectedContext, Injection
from .keys import Keys
from .live import LiveSessions, no_session
from .meta import SessionMeta
from .recovery import Unsettled, not_written
from .request import AgentOptions, Caller, KeyedRequest
from .servers import Servers, change_servers, servers_of
from .session import Session
from .transcript import TranscriptMemory
from .turn import Turn

# A page's bodies: with the frame around them they stay well below what a reply may have.
PAGE_BYTES = 8 * 1024 * 1024
# Messages looked through for the last text of the assistant.
_LAST_MESSAGES = 20


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
        self._now_ms = now_ms
        self._live = LiveSessions(self._readable, now_ms=now_ms)
        self._keys = Keys()
        self._transcripts = TranscriptMemory()
        self._unsettled = Unsettled(now_ms=now_ms)
        self.approvals = RealmApprovals(self._readable, now_ms=now_ms)
        self._admission = Admission(
            realm_id,
            live=self._live,
            keys=self._keys,
            agents=agents,
            transcripts=self._transcripts,
            unsettled=self._unsettled,
            approvals=self.approvals,
            nursery=nursery,
            now_ms=now_ms,
        )
        self._injection = Injection(
            live=self._live, keys=self._keys, transcripts=self._transcripts, unsettled=self._unsettled, now_ms=now_ms
        )
        self._forking = Forking(live=self._live, keys=self._keys, unsettled=self._unsettled, now_ms=now_ms)

    def __repr__(self) -> str:
        return f"<Sessions of {self._realm_id} {self._live!r}>"

    # -- what is going on -----------------------------------------------------------------------------------------

    @property
    def active_turns(self) -> int:
        return len(self._live.running())

    @property
    def readers(self) -> int:
        """Event streams that are open."""
        return self._live.readers

    @property
    def idle(self) -> bool:
        """No turn, no reader, no request under way: the realm may be closed."""
        return self._live.idle

    def running(self) -> list[Turn]:
        return self._live.running()

    def end_streams(self) -> None:
        """See `LiveSessions.end_streams`."""
        self._live.end_streams()

    def forget_idle(self) -> None:
        """Give back the memory of everything that is idle."""
        self._transcripts.clear()
        self._live.forget_idle()

    @asynccontextmanager
    async def hold(self, session_id: SessionId) -> AsyncIterator[Session]:
        """See `LiveSessions.hold`."""
        async with self._live.hold(session_id) as session:
            yield session

    # -- turns ----------------------------------------------------------------------------------------------------

    async def create(
        self,
        prompt: PromptContent,
        *,
        caller: Caller,
        options: AgentOptions,
        labels: dict[str, str],
        deferred: bool,
        keyed: KeyedRequest | None = None,
    ) -> tuple[SessionId, Turn | None]:
        """See `Admission.create`."""
        return await self._admission.create(
            self._writable, prompt, caller=caller, options=options, labels=labels, deferred=deferred, keyed=keyed
        )

    async def start_turn(
        self,
        session_id: SessionId,
        prompt: PromptContent,
        *,
        caller: Caller,
        options: AgentOptions,
        keyed: KeyedRequest | None = None,
    ) -> Turn:
        """See `Admission.start_turn`."""
        store = await self._existing(session_id)
        return await self._admission.start_turn(store, session_id, prompt, caller=caller, options=options, keyed=keyed)

    async def compact(
        self,
        session_id: SessionId,
        recent_turns: int | None,
        *,
        caller: Caller,
        keyed: KeyedRequest | None = None,
    ) -> Turn:
        """Summarise the older part of what the model sees, in a turn without a prompt; see `Admission.start_turn`."""
        store = await self._existing(session_id)
        wanted = Compact(recent_turns=recent_turns)
        return await self._admission.start_turn(
            store, session_id, wanted, caller=caller, options=AgentOptions(), keyed=keyed
        )

    async def interrupt(self, session_id: SessionId, *, turn_id: str | None, by: Holder) -> Turn:
        """Cancel the running turn and wait until what it produced is committed.

        Raises:
            SessionNotRunning: no turn runs (or not the one that was named).
            SessionNotFound.
        """
        async with self._live.hold(session_id) as session:
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

    async def inject(
        self, session_id: SessionId, text: str, *, source: str | None, keyed: KeyedRequest | None = None
    ) -> Added:
        """Add a text; see `Injection.add`."""
        return await self.add(session_id, InjectedContext(text, source), keyed=keyed)

    async def add(self, session_id: SessionId, addition: Addition, *, keyed: KeyedRequest | None = None) -> Added:
        """See `Injection.add`."""
        store = await self._existing(session_id)
        return await self._injection.add(store, session_id, addition, keyed=keyed)

    async def fork(
        self, session_id: SessionId, count: int, *, caller: Caller, keyed: KeyedRequest | None = None
    ) -> SessionId:
        """See `Forking.fork`."""
        store = await self._existing(session_id)
        return await self._forking.fork(store, session_id, count, caller=caller, keyed=keyed)

    # -- changes --------------------------------------------------------------------------------------------------

    async def set_archived(
        self, session_id: SessionId, archived: bool, *, keyed: KeyedRequest | None = None
    ) -> SessionRow:
        """Archive or bring back. A repeated request gives the session of the first one, whatever the reference that
        its caller used names by now.

        Raises:
            SessionBusy: a turn is running.
            SessionArchived: it is archived already.
        """
        store = await self._existing(session_id)
        if keyed is None:
            return await self._set_archived(store, session_id, archived, None)
        async with self._keys.claim(store, keyed.key, digest=keyed.digest) as earlier:
            if earlier is None:
                return await self._set_archived(store, session_id, archived, keyed)
            async with self._live.hold(SessionId(earlier.session_id or "")) as session:
                return session.row

    async def _set_archived(
        self, store: RealmStore, session_id: SessionId, archived: bool, keyed: KeyedRequest | None
    ) -> SessionRow:
        async with self._live.hold(session_id) as session, session.changing:
            session.check_unused()
            if archived:
                session.check_open()
            at_ms = self._now_ms()
            key_row = keyed.row(session_id=session_id, turn_id=None, at_ms=at_ms) if keyed else None
            session.closing = True
            try:
                with trio.CancelScope(shield=True):
                    change = SessionChange(updated_ms=at_ms, archived=archived)
                    try:
                        row = await store.change_session(session_id, change, key=key_row)
                    except StorageUnknown as unknown:
                        found = await store.session(session_id)
                        if found is None or (found.archived_ms is not None) != archived:
                            raise not_written(unknown) from unknown
                        row = found
                    session.row = replace(session.row, archived_ms=row.archived_ms, updated_ms=row.updated_ms)
            finally:
                session.closing = False
            return session.row

    async def set_labels(self, session_id: SessionId, labels: dict[str, str | None]) -> SessionRow:
        """Set (text) and remove (None) labels. Allowed while a turn runs; it does not touch the transcript."""
        store = await self._existing(session_id)
        async with self._live.hold(session_id) as session, session.changing:
            session.check_open()
            merged = {**session.row.labels, **labels}
            kept = {key: value for key, value in merged.items() if value is not None}
            with trio.CancelScope(shield=True):
                at_ms = self._now_ms()
                try:
                    await store.change_session(session_id, SessionChange(updated_ms=at_ms, labels=kept))
                except StorageUnknown as unknown:
                    row = await store.session(session_id)
                    if row is None or dict(row.labels) != kept:
                        raise not_written(unknown) from unknown
                # Only what was changed: a turn may have been committed meanwhile.
                session.row = replace(session.row, labels=kept, updated_ms=max(at_ms, session.row.updated_ms))
            return session.row

    async def change_servers(self, session_id: SessionId, change: Callable[[Servers], Servers]) -> None:
        """See `servers.change_servers`. Raises SessionNotFound, too."""
        store = await self._existing(session_id)
        async with self._live.hold(session_id) as session:
            await change_servers(store, session, change)

    async def servers(self, session_id: SessionId) -> tuple[Mapping[str, ServerSpec | None], str | None]:
        """The session's own MCP servers, and its workspace. Raises SessionNotFound."""
        await self._existing(session_id)
        async with self._live.hold(session_id) as session:
            return servers_of(session.meta), session.meta.workspace

    # -- reads ----------------------------------------------------------------------------------------------------

    async def resolve(self, reference: str) -> SessionId:
        """See `refs.resolve`."""
        return await refs.resolve(reference, store=await self._readable(), realm_id=self._realm_id)

    async def list(
        self, *, offset: int, limit: int, include_archived: bool, labels: dict[str, str]
    ) -> list[SessionSummary]:
        """A page of the list, newest change first; all `labels` must match."""
        query = SessionQuery(offset=offset, limit=limit, include_archived=include_archived, labels=labels)
        store = await self._readable()
        if store is None:
            return []
        return [self._summary(row, store) for row in await store.sessions(query)]

    async def history(self, session_id: SessionId, *, offset: int, limit: int) -> MessagePage:
        """A page of committed messages. Raises SessionNotFound."""
        store = await self._settled(session_id)
        try:
            return await store.messages(session_id, offset=offset, limit=limit, max_bytes=PAGE_BYTES)
        except KeyError:
            raise no_session(session_id) from None

    async def read(self, session_id: SessionId) -> SessionInfo:
        """What `session/read` shows. Raises SessionNotFound."""
        store = await self._settled(session_id)
        async with self._live.hold(session_id) as session:
            info = cast(SessionInfo, dict(self._summary(session.row, store)))
            info["usage"] = views.usage(session.row.usage)
            info["cursor"] = session.events.last
            if session.meta.workspace is not None:
                info["workspace"] = session.meta.workspace
            if session.meta.tools is not None:
                info["tools"] = session.meta.tools
            if session.meta.tasks:
                info["tasks"] = list(session.meta.tasks)
            cost = cost_of_usage(await store.usage(session_id=session_id))
            if cost is not None:
                info["cost"] = cost
            if session.meta.turn_limits:
                info["budget_limits"] = views.limits(session.meta.turn_limits)
            if session.meta.session_limits:
                info["session_budget_limits"] = views.limits(session.meta.session_limits)
            if session.meta.system_prompt is not None:
                info["system_prompt"] = session.meta.system_prompt
            if session.meta.project is not None:
                info["project_instructions"] = views.project(session.meta.project)
            if session.meta.additional_instructions:
                info["additional_instructions"] = list(session.meta.additional_instructions)
            if session.meta.output_schema is not None:
                info["output_schema"] = session.meta.output_schema
            if session.meta.compaction is not None:
                info["compaction"] = views.compaction(session.meta.compaction)
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

    async def usage(
        self, *, since_ms: int | None, until_ms: int | None, session_id: SessionId | None = None
    ) -> Sequence[UsageRow]:
        """What calls of models used, as sums by session, day, provider and model; see `RealmStore.usage`."""
        store = await self._readable()
        if store is None:
            return ()
        return await store.usage(since_ms=since_ms, until_ms=until_ms, session_id=session_id)

    async def title(self, session_id: SessionId) -> str:
        """The session's title. Raises SessionNotFound."""
        row = await (await self._existing(session_id)).session(session_id)
        if row is None:
            raise no_session(session_id)
        return SessionMeta.load(row.meta).title

    async def turn(self, session_id: SessionId, turn_id: str | None) -> TurnInfo:
        """A turn with its ledger; the last one when none is named. Raises SessionNotFound, SessionNotRunning."""
        store = await self._settled(session_id)
        async with self._live.hold(session_id):
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

    async def _readable(self) -> RealmStore | None:
        return await self._open_store(False)

    async def _existing(self, session_id: SessionId) -> RealmStore:
        """The store of a realm in which that session can be. Raises SessionNotFound when there is no realm yet."""
        store = await self._readable()
        if store is None:
            raise no_session(session_id)
        return store

    async def _settled(self, session_id: SessionId) -> RealmStore:
        """As `_existing`; what could not be stored when it ended is stored now, if it can be."""
        store = await self._existing(session_id)
        await self._unsettled.settle_if_possible(store, self._live, session_id)
        return store

    async def _writable(self) -> RealmStore:
        store = await self._open_store(True)
        assert store is not None, "opening with create gives a store or raises"
        return store


def _text(content: Content) -> str:
    return plain_text(content)
