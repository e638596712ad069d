"""The context of a turn: how large what the model sees has become, and compaction when it nears the model's window.

    before each call ─► nears the window? ─► summarise the older part ─► the summary stands for it in the view
                              │ no                    │ failed
                              └───────────────────────┴─► the turn goes on with what it has

A compaction made here is durable with the turn's commit, in the same transaction as the messages it may be about: one
that counts messages of a turn which is then lost would count others. The provider's own count of the last call is what
decides; only what was added since is estimated.

Where to cut: before the prompt of one of the last turns, `recent_turns` of them where that leaves room enough, fewer
where it does not; inside of the running turn, when it fills the window alone, before an answer of the model. Never
between a tool call and its result.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..contract.event import EventPayload
from ..errors import MeerkatError
from .context_view import CHARS_PER_TOKEN, Compaction, ContextView
from .port import Completed, ModelRequest, TokenUsage
from .providers.history import plain_text
from .summary import cut, source_of, summary_request

log = logging.getLogger(__name__)

# Of a window that is not known: what the smallest of the current hosted models take.
DEFAULT_THRESHOLD = 100_000
# Of a window that is: the rest is for the answer, the tools and what the estimate is wrong by.
THRESHOLD_SHARE = 0.8
# After a compaction the view should be well below the threshold, or the next one comes too soon.
_TAIL_SHARE = 0.5
# Of a prompt that a cut inside of its turn takes away; it is kept beside the summary.
_PROMPT_CHARS = 8000

Ask = Callable[[ModelRequest], Awaitable[Completed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionSettings:
    """When and how a context is compacted.

    Attributes:
        threshold: tokens; None for a share of the model's window.
        automatic: False leaves it to whoever asks for it.
        recent_turns: so many turns are kept as they are.
        max_summary_tokens: limit of the summary.
        min_calls: calls of the model from one compaction to the next.
    """

    threshold: int | None = None
    automatic: bool = True
    recent_turns: int = 4
    max_summary_tokens: int = 4096
    min_calls: int = 3

    def threshold_of(self, window: int | None) -> int:
        if self.threshold is not None:
            return self.threshold
        return DEFAULT_THRESHOLD if window is None else int(window * THRESHOLD_SHARE)


@dataclass(slots=True)
class ContextSize:
    """What the last call of a session's model told. It lives as long as the session is in memory.

    Attributes:
        tokens: of that call, its answer included; 0 when nothing is known.
        end: number of the message that came next.
        wait: so many calls are to come before the next compaction, after one that was made or failed.
    """

    tokens: int = 0
    end: int = 0
    wait: int = 0


@dataclass(slots=True, kw_only=True)
class Context:
    """The context of one turn.

    Attributes:
        size: kept by the session from turn to turn.
        told: the event of a compaction on demand, for whoever makes it durable.
        made: the compaction of this turn, to be stored with it.
    """

    view: ContextView
    size: ContextSize
    settings: CompactionSettings
    window: int | None
    model: str
    emit: Callable[[EventPayload], Any]
    now: Callable[[], str]
    made: Compaction | None = None
    told: EventPayload | None = None

    def answered(self, usage: TokenUsage) -> None:
        """A call has been answered; its answer is in the view already."""
        self.size.tokens = usage.input_tokens + usage.output_tokens
        self.size.end = self.view.end
        self.size.wait = max(0, self.size.wait - 1)

    def tokens(self) -> int:
        """About as many tokens as the next call will send."""
        known = self.size.tokens if self.view.start <= self.size.end <= self.view.end else 0
        if not known:
            return self.view.tokens_from(self.view.start)
        return known + self.view.tokens_from(self.size.end) if self.size.end < self.view.end else known

    async def make_room(self, request: ModelRequest, ask: Ask) -> None:
        """Compact the view if the next call nears the window. A failure is told by an event, and the turn goes on."""
        settings = self.settings
        threshold = settings.threshold_of(self.window)
        if not settings.automatic or self.size.wait or self.tokens() < threshold:
            return
        through = self._place(settings.recent_turns, tail=int(threshold * _TAIL_SHARE))
        if through is None:
            return
        try:
            self.emit(await self.compact(request, ask, through))
        except MeerkatError as error:
            self.size.wait = settings.min_calls
            log.warning("a context could not be compacted: %s", error.message)
            self.emit(failed(error))

    def place_on_demand(self, recent_turns: int | None) -> int | None:
        """Where a compaction on demand cuts; None when there is nothing that it would take away."""
        keep = self.settings.recent_turns if recent_turns is None else recent_turns
        if keep == 0:
            return self.view.end if self.view.end > self.view.start else None
        prompts = self._prompts(keep)
        return prompts[0] if len(prompts) == keep and prompts[0] > self.view.start else None

    async def compact(self, request: ModelRequest, ask: Ask, through: int) -> EventPayload:
        """Summarise everything before message `through`; gives the event that tells of it.

        Raises:
            MeerkatError: the model could not be asked, or had nothing to say. The view is as it was.
        """
        view = self.view
        older = view[: len(view) - (view.end - through)]
        before = len(view)
        self.emit(
            {
                "type": "compaction_started",
                "input_tokens": self.size.tokens,
                "estimated_history_tokens": self.tokens(),
                "message_count": before,
            }
        )
        max_chars = max(self.settings.threshold_of(self.window), 1000) * CHARS_PER_TOKEN
        limit = self.settings.max_summary_tokens
        source, bound = source_of(older, max_chars=max_chars)
        completed = await ask(summary_request(request, source, at=self.now(), max_tokens=limit))
        summary = _text_of(completed)
        if not summary:
            raise EmptySummary("The model gave no summary.")
        self.made = Compaction(
            through=through,
            summary=self._with_prompt(cut(summary, limit * 2 * CHARS_PER_TOKEN), through),
            summary_tokens=completed.usage.output_tokens,
            at=self.now(),
            model=self.model,
        )
        view.compact(self.made)
        self.size.tokens, self.size.wait = 0, self.settings.min_calls
        return {
            "type": "compaction_completed",
            "summary_tokens": completed.usage.output_tokens,
            "messages_before": before,
            "messages_after": len(view),
            "estimated_history_tokens_after": self.tokens(),
            "summary_source": {"kind": "provider_call", "source_bound": bound},
        }

    def _place(self, recent_turns: int, *, tail: int) -> int | None:
        """The number of the first message to keep: as many turns as are wanted, or the most that fit into `tail`."""
        last = None
        for place in self._places(recent_turns):
            last = place
            if self.view.tokens_from(place) <= tail:
                return place
        return last

    def _places(self, recent_turns: int) -> Iterator[int]:
        """Where a cut may be, those that keep more first."""
        prompts = self._prompts(recent_turns)
        yield from (place for place in prompts if place > self.view.start)
        begin = prompts[-1] + 1 if prompts else self.view.start + 1
        yield from (place for place in range(begin, self.view.end) if self.view.at(place)["role"] == "block_assistant")

    def _prompts(self, count: int) -> list[int]:
        """Numbers of the last prompts, the oldest first; at most `count` of them."""
        found: list[int] = []
        number = self.view.end
        while number > self.view.start and len(found) < count:
            number -= 1
            if _is_prompt(self.view.at(number)):
                found.append(number)
        return found[::-1]

    def _with_prompt(self, summary: str, through: int) -> str:
        """The summary, and word for word the request that is being worked on, when the cut takes it away."""
        number = self.view.committed
        if number >= through:
            return summary
        message = self.view.at(number)
        if message["role"] != "user":
            return summary
        request = cut(plain_text(message["content"]), _PROMPT_CHARS)
        return f"{summary}\n\nThe user's request that is being worked on, word for word:\n\n{request}"


class EmptySummary(MeerkatError):
    """The model wrote nothing, or called a tool instead."""

    code = "AGENT_ERROR"


def failed(error: MeerkatError) -> EventPayload:
    """The event of a compaction that came to nothing."""
    if isinstance(error, EmptySummary):
        return {"type": "compaction_failed", "reason": {"kind": "empty_summary"}}
    reason: Any = {"kind": "llm_failed", "error_class": error.code.lower(), "message": error.message}
    return {"type": "compaction_failed", "reason": reason}


def _is_prompt(message: Any) -> bool:
    return bool(message["role"] == "user" and "transcript_role" not in message)


def _text_of(completed: Completed) -> str:
    texts = [block["data"]["text"] for block in completed.blocks if block["block_type"] == "text"]
    return "".join(texts).strip()
