"""Runs one admitted turn to its commit.

    written ahead ─► run_started ─► the agent's loop ─► one commit ─► run_completed / run_failed ─► done

The outcome is told only after it is durable. A commit that fails is tried again while there is hope, because the turn
may have cost hours; if it cannot be stored, its caller gets the error with the text that was produced, and it is stored
when somebody uses the session and the disk takes it again.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import trio

from ..agent.loop import AgentRun, wire_usage
from ..agent.port import TokenUsage
from ..contract.event import RunCompleted, RunFailed
from ..contract.message import Content, Message, UserMessage
from ..errors import BudgetExhausted, MeerkatError, RequestCancelled, StorageFailed, StorageFull, StorageUnknown
from ..ids import uuid7
from ..instruments import TOKENS, TURN_SECONDS, TURNS, span
from ..store.api import NewMessage, RealmStore, TurnEnd, TurnState, UsageTotals
from . import outcome
from .charging import Charging
from .clock import rfc3339
from .compacting import Compact, compact, last_event, result_part
from .cost import cost_of_charges
from .recovery import Unsettled
from .session import Session
from .transcript import TranscriptMemory
from .turn import Turn
from .turn_meter import TurnMeter

log = logging.getLogger(__name__)

# How often, and after how many seconds each, a commit is tried again that failed for lack of space or by an I/O error.
COMMIT_PAUSES = (0.1, 0.5, 2.0, 5.0)
# Text of an answer that could not be stored, as far as it goes into the error.
_RESCUED_CHARS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnWork:
    """Everything a turn needs, put together when it is admitted.

    Attributes:
        prompt: the turn's prompt, staged prompt included; or what a turn without one is to do.
        build: makes the agent's run from the messages this turn starts with; may wait for a provider to be opened.
        meter, charging: what the turn spends, and how that becomes durable.
        unsettled: sessions whose last turn could not be stored; the runner adds to it, the next turn takes away.
    """

    session: Session
    turn: Turn
    store: RealmStore
    prompt: Content | Compact
    session_ref: str
    build: Callable[[list[Message]], Awaitable[AgentRun]]
    meter: TurnMeter
    charging: Charging
    transcripts: TranscriptMemory
    now_ms: Callable[[], int]
    unsettled: Unsettled


async def run_turn(work: TurnWork) -> None:
    """Run, commit, publish, release: whatever happens, the session is free afterwards and whoever waits is told.

    Raises nothing but a cancellation of the whole daemon's nursery, and even then the commit is made first.
    """
    turn, session = work.turn, work.session
    output: list[Message] = []
    run: AgentRun | None = None
    error: MeerkatError | None = None
    finished = False
    turn.advance("begun")
    if not isinstance(work.prompt, Compact):
        output.append(_prompt(work, work.prompt))
        session.events.append(
            {
                "type": "run_started",
                "session_id": session.session_id,
                "input": {"kind": "content", "content": work.prompt},
                "identity": {"run_id": turn.turn_id},
            }
        )
    try:
        # Errors are caught outside of the scope: one that comes together with a cancellation, such as that of a tool's
        # last write, is in a group with it until the scope has taken its part.
        with turn.scope, span("turn", turn_id=turn.turn_id, session_id=session.session_id):
            run = await work.build(output)
            await (compact(run, work.prompt) if isinstance(work.prompt, Compact) else run.run())
            finished = True
    except Exception as caught:
        error = _as_error(caught)
    finally:
        with trio.CancelScope(shield=True):
            await _settle(work, output, run, error, finished=finished)


def _prompt(work: TurnWork, content: Content) -> UserMessage:
    return {
        "role": "user",
        "content": content,
        "created_at": rfc3339(work.turn.started_ms),
        "run_id": work.turn.turn_id,
    }


def _as_error(caught: Exception) -> MeerkatError:
    """The one domain error in `caught` (a nursery wraps it), or INTERNAL_ERROR with a reference for the log."""
    while isinstance(caught, ExceptionGroup):
        known = [each for each in caught.exceptions if isinstance(each, MeerkatError)]
        caught = known[0] if known else caught.exceptions[0]
    if isinstance(caught, MeerkatError):
        return caught
    reference = uuid7()
    log.error("turn failed unexpectedly, reference %s", reference, exc_info=caught)
    return MeerkatError("The turn failed for an unexpected reason.", details={"reference": reference})


async def _settle(
    work: TurnWork, output: list[Message], run: AgentRun | None, error: MeerkatError | None, *, finished: bool
) -> None:
    turn, session = work.turn, work.session
    if run is not None:
        run.close_off()
    work.meter.close()
    text = run.text if run is not None else ""
    if error is not None:
        turn.advance("failed")
        turn.error = error.with_details(session_id=session.session_id, turn_id=turn.turn_id)
        if isinstance(error, BudgetExhausted):
            turn.error.with_details(text=text)
        _notice(work, output, f"The turn failed: {error.message}")
    elif not finished or run is None:
        # Without an interrupt it was cancelled together with everything else.
        turn.interrupt("interrupted because the daemon was stopped")
        turn.advance("stopped")
        turn.error = RequestCancelled(
            f"The turn was {turn.stop_reason}; what it had produced is kept.",
            details={"session_id": session.session_id, "turn_id": turn.turn_id, "text": text},
        )
        _notice(work, output, f"The turn was {turn.stop_reason}.")
    else:
        turn.advance("finished")
        turn.result = _result(work, run)
    await _commit(work, output, run)
    _measure(work, run)
    _publish(work, run, text)
    session.turn = None
    turn.last_cursor = session.events.last
    turn.done.set()
    session.events.wake()


def _measure(work: TurnWork, run: AgentRun | None) -> None:
    TURNS.add(work.turn.state)
    TURN_SECONDS.observe((work.now_ms() - work.turn.started_ms) / 1000)
    if run is not None:
        TOKENS.add(run.provider.kind, "input", amount=run.usage.input_tokens)
        TOKENS.add(run.provider.kind, "output", amount=run.usage.output_tokens)


async def _commit(work: TurnWork, output: list[Message], run: AgentRun | None) -> None:
    """Make the turn durable; on failure the turn's error becomes that of the storage."""
    session = work.session
    async with session.changing:
        try:
            # The last chance of what was added while the turn ran: nothing is added to it any more from here on.
            output.extend(session.take_injected(work.turn))
            bodies = [json.dumps(message, ensure_ascii=False, separators=(",", ":")) for message in output]
            end = _turn_end(work, output, bodies, run)
            await _commit_patiently(work.store, end)
            work.charging.saved(end.charges)
        except Exception as failure:
            _give_up(work, output, run, _as_error(failure))
            return
        finally:
            work.turn.open = False
        work.transcripts.extend(session.session_id, output, bodies)
        session.replace_row(
            replace(
                session.row,
                updated_ms=max(end.ended_ms, session.row.updated_ms),
                message_count=session.row.message_count + len(bodies),
                usage=session.row.usage + end.usage,
                event_seq=end.event_seq,
                meta=end.meta or session.row.meta,
            )
        )


def _turn_end(work: TurnWork, output: Sequence[Message], bodies: Sequence[str], run: AgentRun | None) -> TurnEnd:
    turn, session = work.turn, work.session
    # One event is still to come after the commit.
    last_seq = session.events.last + (0 if _is_silent(work, run) else 1)
    if turn.result is not None:
        turn.result["cursor"] = last_seq
    return TurnEnd(
        turn_id=turn.turn_id,
        session_id=session.session_id,
        state=_stored_state(turn),
        ended_ms=work.now_ms(),
        detail=outcome.dump(
            turn, output, first_seq=session.row.message_count, compaction=isinstance(work.prompt, Compact)
        ),
        messages=[NewMessage(role=message["role"], body=body) for message, body in zip(output, bodies, strict=True)],
        usage=_totals(run),
        event_seq=last_seq,
        meta=_changed_meta(session, run),
        charges=work.charging.unsaved(),
    )


def _changed_meta(session: Session, run: AgentRun | None) -> str | None:
    meta = replace(session.meta, injected=())
    if run is not None and run.context is not None and run.context.made is not None:
        meta = replace(meta, compaction=run.context.made)
    return meta.dump() if meta != session.meta else None


def _is_silent(work: TurnWork, run: AgentRun | None) -> bool:
    return isinstance(work.prompt, Compact) and last_event(run, work.turn.error) is None


def _give_up(work: TurnWork, output: Sequence[Message], run: AgentRun | None, failure: MeerkatError) -> None:
    """The turn cannot be stored: it is told as failed now, and stored as such, with what it produced, once the store
    works again. A daemon that ends before that leaves it to be told as lost."""
    turn, session_id = work.turn, work.session.session_id
    log.error("turn %s could not be stored: %s", turn.turn_id, failure.message)
    text = run.text if run is not None else ""
    work.transcripts.forget(session_id)
    turn.state, turn.result = "failed", None
    turn.error = failure.with_details(session_id=session_id, turn_id=turn.turn_id, text=text[:_RESCUED_CHARS])
    late = list(output)
    _notice(work, late, f"The turn was stored late: {failure.message}")
    bodies = [json.dumps(message, ensure_ascii=False, separators=(",", ":")) for message in late]
    work.unsettled.add(session_id, _turn_end(work, late, bodies, run))


async def _commit_patiently(store: RealmStore, end: TurnEnd) -> None:
    for pause in (*COMMIT_PAUSES, None):
        try:
            await store.end_turn(end)
        except StorageUnknown:
            # The store opens itself again: what it finds then is what happened.
            row = await store.turn(end.turn_id)
            if row is not None and row.state != "running":
                return
            if pause is None:
                raise
        except (StorageFull, StorageFailed):
            if pause is None:
                raise
        else:
            return
        await trio.sleep(pause)


def _publish(work: TurnWork, run: AgentRun | None, text: str) -> None:
    turn, session = work.turn, work.session
    if isinstance(work.prompt, Compact):
        event = last_event(run, turn.error)
        if event is not None:
            session.events.append(event)
        return
    if turn.error is None:
        completed: RunCompleted = {
            "type": "run_completed",
            "session_id": session.session_id,
            "result": text,
            "usage": wire_usage(run.usage if run is not None else TokenUsage()),
            "extraction_required": False,
        }
        if turn.result is not None and "structured_output" in turn.result:
            completed["structured_output"] = turn.result["structured_output"]
        session.events.append(completed)
        return
    error_class = "cancelled" if turn.state == "interrupted" else turn.error.code.lower()
    failed: RunFailed = {
        "type": "run_failed",
        "session_id": session.session_id,
        "error": turn.error.message,
        "error_class": error_class,
        "error_report": {"class": error_class, "message": turn.error.message},
    }
    if turn.error.code == "STRUCTURED_OUTPUT_INVALID":
        failed["terminal_cause_kind"] = "structured_output_validation_failed"
    if "terminal_cause_kind" in turn.error.details:
        failed["terminal_cause_kind"] = turn.error.details["terminal_cause_kind"]
    session.events.append(failed)


def _notice(work: TurnWork, output: list[Message], body: str) -> None:
    """Tell it in the transcript, unless the turn has no part of that."""
    if not isinstance(work.prompt, Compact):
        at = rfc3339(work.now_ms())
        output.append({"role": "system_notice", "kind": "generic", "body": body, "created_at": at})


def _result(work: TurnWork, run: AgentRun) -> dict[str, Any]:
    meta = work.session.meta
    cost = cost_of_charges(work.charging.all())
    if isinstance(work.prompt, Compact):
        return {
            "session_id": work.session.session_id,
            "session_ref": work.session_ref,
            "turn_id": work.turn.turn_id,
            **result_part(run),
            "model": meta.model,
            "usage": wire_usage(run.usage),
        }
    result = {
        "session_id": work.session.session_id,
        "session_ref": work.session_ref,
        "turn_id": work.turn.turn_id,
        "text": run.text,
        "turns": run.model_calls,
        "tool_calls": run.tool_calls,
        "usage": wire_usage(run.usage),
        "model": meta.model,
        "provider": meta.provider,
        "stop_reason": run.stop_reason,
        **({"cost": cost} if cost is not None else {}),
    }
    if run.structured is not None:
        result["structured_output"] = run.structured.value
        if run.structured.warnings:
            result["schema_warnings"] = list(run.structured.warnings)
    return result


def _stored_state(turn: Turn) -> TurnState:
    match turn.state:
        case "completed" | "interrupted" | "failed":
            return turn.state
        case other:
            raise AssertionError(f"a turn is stored when it has ended, not while {other}")


def _totals(run: AgentRun | None) -> UsageTotals:
    if run is None:
        return UsageTotals()
    return UsageTotals(
        input_tokens=run.usage.input_tokens,
        output_tokens=run.usage.output_tokens,
        cache_creation_tokens=run.usage.cache_creation_tokens,
        cache_read_tokens=run.usage.cache_read_tokens,
    )
