"""Admission: how a turn comes to run.

    key claimed ─► session held ─► admitted (one turn per session) ─► model chosen ─► written ahead ─► set running

Whatever is refused on the way leaves nothing behind. From the write-ahead commit on the turn belongs to the daemon, and
its caller may go away.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import trio

from ..agent.agents import Agents, ToolScope
from ..agent.context import Context
from ..agent.context_view import ContextView
from ..agent.limits import Limits
from ..agent.loop import AgentRun
from ..agent.models import Endpoint
from ..agent.port import ModelRequest
from ..agent.project_file import project_instructions
from ..contract.message import Content, Message
from ..errors import InvalidParams, MeerkatError, StorageUnknown
from ..ids import Cursor, SessionId, TurnId, new_session_id, new_turn_id
from ..store.api import KeyRow, RealmStore, SessionRow, TurnRow
from . import outcome
from .approvals import RealmApprovals, TurnApprovals
from .charging import Charging
from .clock import rfc3339
from .compacting import Compact
from .images import Album, PromptContent, has_images, images_in, stored
from .keys import Keys
from .ledger import StoredLedger
from .live import LiveSessions
from .meta import SessionMeta, join_prompts, title_of
from .metering import Allowance, Metering
from .prompts import system_prompt
from .recovery import Unsettled, not_written
from .request import AgentOptions, Caller, KeyedRequest
from .servers import servers_of
from .session import Session
from .structured import structured_output
from .tasks import SessionTasks
from .transcript import TranscriptMemory
from .turn import Turn
from .turn_runner import TurnWork, run_turn

# Event numbers given out ahead of the store: a crash skips at most this many, and none is ever used twice.
EVENTS_RESERVED = 1 << 24


class Admission:
    """Creates sessions and starts turns in one realm.

    Args:
        live: the realm's live sessions.
        keys: the realm's idempotency keys.
        transcripts: what is kept of transcripts between turns.
        approvals: the realm's questions to people.
        unsettled: sessions whose last turn is to be settled before the next one.
        nursery: turns run in it; it outlives every connection.
    """

    def __init__(
        self,
        realm_id: str,
        *,
        live: LiveSessions,
        keys: Keys,
        agents: Agents,
        transcripts: TranscriptMemory,
        unsettled: Unsettled,
        approvals: RealmApprovals,
        nursery: trio.Nursery,
        now_ms: Callable[[], int],
    ) -> None:
        self._realm_id = realm_id
        self._live = live
        self._keys = keys
        self._agents = agents
        self._nursery = nursery
        self._now_ms = now_ms
        self._transcripts = transcripts
        self._unsettled = unsettled
        self._approvals = approvals
        self._metering = Metering(lambda: agents.defaults(), now_ms=now_ms)

    async def create(
        self,
        open_store: Callable[[], Awaitable[RealmStore]],
        prompt: PromptContent,
        *,
        caller: Caller,
        options: AgentOptions,
        labels: dict[str, str],
        deferred: bool,
        keyed: KeyedRequest | None,
    ) -> tuple[SessionId, Turn | None]:
        """Store a session, and unless `deferred` begin its first turn.

        Session, write-ahead row and idempotency key are one commit; nothing is left of a request that is refused. The
        turn runs on its own; wait for `turn.done`.

        Raises:
            InvalidParams, ProviderNotConfigured: the model cannot be used; nothing was stored.
            BudgetExhausted: the realm's budget is used up; nothing was stored.
            DuplicateInput: the key belongs to a different request.
        """
        endpoint = self._agents.choose(model=options.model, provider=options.provider, credentials=caller.credentials)
        # Before the realm comes to be.
        self._metering.check_price(
            endpoint,
            turn=self._metering.turn_limits(options.turn_limits),
            session=options.session_limits or Limits(),
        )
        wanted = options.project_instructions
        if wanted if wanted is not None else self._agents.defaults().project_instructions:
            options = replace(options, project=await project_instructions(options.workspace))
        _check_images(prompt, endpoint)
        store = await open_store()
        prompt = await stored(prompt, store)
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
        allowance = None if deferred else await self._allowance(store, endpoint, None, meta, options)
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
            if turn is None or allowance is None:
                await _store_session(store, row, None, key_row)
            else:
                session = self._live.add(row)
                session.turn = turn
                try:
                    await _store_session(store, row, turn_row, key_row)
                except BaseException as error:
                    self._live.discard(session_id)
                    _withdraw(session, turn, error)
                    raise
                turn.open = True
                self._start(session, turn, store, prompt, endpoint, options, allowance)
        return session_id, turn

    async def start_turn(
        self,
        store: RealmStore,
        session_id: SessionId,
        prompt: PromptContent | Compact,
        *,
        caller: Caller,
        options: AgentOptions,
        keyed: KeyedRequest | None,
    ) -> Turn:
        """Admit a turn, write it ahead, and set it running. Wait for `turn.done`, then ask for its `outcome()`.

        Raises:
            SessionBusy: at once, naming the turn that runs.
            SessionArchived, SessionNotFound.
            InvalidParams, ProviderNotConfigured: the model cannot be used; nothing was stored.
            DuplicateInput: the key belongs to a different request.
        """
        if not isinstance(prompt, Compact):
            prompt = await stored(prompt, store)
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
        prompt: Content | Compact,
        caller: Caller,
        options: AgentOptions,
        keyed: KeyedRequest | None,
    ) -> Turn:
        async with self._live.hold(session_id) as session:
            # Before anything is built: a busy session refuses as fast as it can. `admit` decides.
            session.check_unused()
            at_ms = self._now_ms()
            turn = self._new_turn(caller, ordinal=session.row.turn_count, first_cursor=session.events.last, at_ms=at_ms)
            session.admit(turn)
            try:
                endpoint = self._agents.choose(
                    model=options.model or session.meta.model,
                    provider=options.provider or (None if options.model else session.meta.provider),
                    credentials=caller.credentials,
                )
                if not isinstance(prompt, Compact):
                    _check_images(prompt, endpoint)
                with trio.CancelScope(shield=True):
                    # Whoever changes the session right now is waited for; it takes milliseconds.
                    async with session.changing:
                        await self._unsettled.settle(store, session)
                        turn.ordinal = session.row.turn_count
                        allowance = await self._allowance(store, endpoint, session_id, session.meta, options)
                        joined = _joined(session.meta, prompt)
                        await self._write_ahead(store, session, turn, joined, endpoint, options, keyed)
                        self._start(session, turn, store, joined, endpoint, options, allowance)
            except BaseException as error:
                if session.turn is turn:
                    _withdraw(session, turn, error)
                raise
            return turn

    async def _write_ahead(
        self,
        store: RealmStore,
        session: Session,
        turn: Turn,
        prompt: Content | Compact,
        endpoint: Endpoint,
        options: AgentOptions,
        keyed: KeyedRequest | None,
    ) -> None:
        meta = replace(session.meta, model=endpoint.full_name, provider=endpoint.provider)
        if not isinstance(prompt, Compact):
            meta = replace(meta, staged=None)
        if options.session_limits is not None:
            meta = replace(meta, session_limits=options.session_limits.dump())
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
                raise not_written(unknown) from unknown
        turn.open = True
        session.replace_row(
            replace(
                session.row,
                updated_ms=turn.started_ms,
                turn_count=turn.ordinal + 1,
                event_seq=reserved,
                meta=changed or session.row.meta,
            )
        )

    async def _allowance(
        self,
        store: RealmStore,
        endpoint: Endpoint,
        session_id: SessionId | None,
        meta: SessionMeta,
        options: AgentOptions,
    ) -> Allowance:
        session = options.session_limits if options.session_limits is not None else Limits.load(meta.session_limits)
        return await self._metering.allowance(
            store,
            endpoint,
            session_id=session_id,
            turn=self._metering.turn_limits(options.turn_limits, Limits.load(meta.turn_limits)),
            session=session,
        )

    def _start(
        self,
        session: Session,
        turn: Turn,
        store: RealmStore,
        prompt: Content | Compact,
        endpoint: Endpoint,
        options: AgentOptions,
        allowance: Allowance,
    ) -> None:
        session.forget_old_events(turn)
        meter = self._metering.meter(allowance, session.events.append)
        charging = Charging(meter, endpoint, session_id=session.session_id, turn_id=turn.turn_id)
        defaults = self._agents.defaults()
        meta = session.meta
        scope = ToolScope(
            level=options.tools or meta.tools,
            most=options.most_tools,
            workspace=meta.workspace,
            tasks=SessionTasks(store, session),
            servers=lambda: servers_of(session.meta),
            emit=session.events.append,
        )

        async def boundary() -> Sequence[Message]:
            await self._reserve_events(store, session)
            return session.take_injected(turn)

        async def build(output: list[Message]) -> AgentRun:
            provider = await self._agents.provider(endpoint)
            transcript = await self._transcripts.get(store, session.session_id)
            structured = structured_output(meta, options, defaults, endpoint)
            view = ContextView(
                transcript.messages,
                len(transcript.messages),
                output,
                chars_before=transcript.chars_from,
                compaction=meta.compaction,
            )

            def shown_images() -> list[str]:
                before = [blob_id for number, blob_id in transcript.images if view.start <= number < view.committed]
                return before + [blob_id for message in output for blob_id in images_in(message)]

            tools = self._agents.toolbox(scope, endpoint)
            system = system_prompt(meta, options, defaults, with_tools=bool(tools.specs()))
            request = ModelRequest(
                model=endpoint.model,
                messages=view,
                system=system if structured is None else structured.instructed(system),
                max_tokens=options.max_tokens or meta.max_tokens,
                temperature=options.temperature if options.temperature is not None else meta.temperature,
                extra={**defaults.provider_params, **meta.provider_params, **(options.provider_params or {})},
            )
            return AgentRun(
                provider=provider,
                request=request,
                tools=tools,
                ledger=StoredLedger(store, turn.turn_id, charging=charging),
                meter=meter,
                approvals=TurnApprovals(
                    self._approvals,
                    store,
                    session_id=session.session_id,
                    turn_id=turn.turn_id,
                    emit=session.events.append,
                    now_ms=self._now_ms,
                ),
                boundary=boundary,
                emit=session.events.append,
                now=lambda: rfc3339(self._now_ms()),
                run_id=turn.turn_id,
                output=output,
                context=Context(
                    view=view,
                    size=session.context_size,
                    settings=defaults.compaction,
                    window=endpoint.context_window,
                    model=endpoint.full_name,
                    emit=session.events.append,
                    now=lambda: rfc3339(self._now_ms()),
                ),
                images=Album(store, shown_images).images,
                structured=structured,
                max_model_calls=defaults.max_model_calls,
                max_concurrent_tools=defaults.max_concurrent_tools,
            )

        work = TurnWork(
            session=session,
            turn=turn,
            store=store,
            prompt=prompt,
            session_ref=f"{self._realm_id}:{session.session_id}",
            build=build,
            meter=meter,
            charging=charging,
            transcripts=self._transcripts,
            now_ms=self._now_ms,
            unsettled=self._unsettled,
        )
        self._nursery.start_soon(self._run, work, name=f"turn {turn.turn_id}")

    async def _run(self, work: TurnWork) -> None:
        try:
            await run_turn(work)
        finally:
            self._metering.forget(work.meter)

    async def _reserve_events(self, store: RealmStore, session: Session) -> None:
        """Keep the store's bound of event numbers ahead of a turn that has used half of its block."""
        bound = session.events.last + EVENTS_RESERVED
        if bound - session.row.event_seq > EVENTS_RESERVED // 2:
            await store.reserve_events(session.session_id, bound)
            session.row = replace(session.row, event_seq=bound)

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
            project=options.project,
            additional_instructions=tuple(options.additional_instructions or ()),
            output_schema=options.output_schema,
            structured_output_retries=options.structured_output_retries,
            tools=options.tools,
            workspace=options.workspace,
            turn_limits=(options.turn_limits or Limits()).dump(),
            session_limits=(options.session_limits or Limits()).dump(),
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
            first_cursor=Cursor(first_cursor),
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
        turn = Turn(
            turn_id=TurnId(row.turn_id),
            ordinal=row.ordinal,
            holder=json.loads(row.holder),
            started_ms=row.started_ms,
            first_cursor=Cursor(0),
        )
        await outcome.load(row, store, realm_id=self._realm_id, into=turn)
        turn.done.set()
        return turn


async def _store_session(store: RealmStore, row: SessionRow, turn: TurnRow | None, key: KeyRow | None) -> None:
    try:
        await store.create_session(row, turn=turn, key=key)
    except StorageUnknown as unknown:
        if await store.session(row.session_id) is None:
            raise not_written(unknown) from unknown


def _withdraw(session: Session, turn: Turn, error: BaseException) -> None:
    """Free the session of a turn that could not begin, and tell whoever waits for it."""
    session.turn = None
    turn.advance("failed")
    turn.error = error if isinstance(error, MeerkatError) else MeerkatError("The turn could not begin.")
    turn.last_cursor = turn.first_cursor
    turn.done.set()
    session.events.wake()


def _check_images(prompt: PromptContent | Content, endpoint: Endpoint) -> None:
    """Refuse images for a model that is known to take none, before anything is stored."""
    if has_images(prompt) and not endpoint.takes_images:
        raise InvalidParams(
            f"prompt: the model {endpoint.full_name} takes no images.",
            details={"field": "prompt", "model": endpoint.full_name},
            hint="Choose another --model, or leave the image out.",
        )


def _joined(meta: SessionMeta, prompt: Content | Compact) -> Content | Compact:
    """A deferred session's prompt and that of its first turn together."""
    if meta.staged is None or isinstance(prompt, Compact):
        return prompt
    return join_prompts(meta.staged, prompt)


def _turn_row(turn: Turn, session_id: SessionId, prompt: Content | Compact) -> TurnRow:
    return TurnRow(
        turn_id=turn.turn_id,
        session_id=session_id,
        ordinal=turn.ordinal,
        state="running",
        started_ms=turn.started_ms,
        prompt=prompt.dump() if isinstance(prompt, Compact) else json.dumps(prompt, ensure_ascii=False),
        holder=json.dumps(turn.holder, ensure_ascii=False),
    )
