"""The meter of one turn: `agent.meter.Meter` over the accounts that bind it, its own, its session's and its realm's.

A call that does not fit is refused at once, also when it would fit once calls of other turns are settled: waiting for
them would be a queue that nobody sees. What is reserved for a call is its estimated input and the longest answer that
may come; where no limit of tokens was given, one is set, and where less is left, a shorter one.

Doubts: the input is estimated by its bytes, rather too high. So the last call before a limit may be refused although it
would just have fitted. A provider that is told other limits by `provider_params` can go beyond what was reserved.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import trio

from ..agent.limits import Amounts, Kind
from ..agent.meter import estimate_input, estimate_tokens
from ..agent.port import ModelRequest, TokenUsage
from ..agent.prices import Price
from ..contract.event import EventPayload
from ..errors import BudgetExhausted, ProviderError
from ..ids import uuid7
from . import budget
from .budget import Account, Crossing, Shortage
from .exhaustion import exhausted

# Answers of turns that count tokens or money, when no limit of tokens was given; the public default of a turn.
DEFAULT_ANSWER_TOKENS = 16_384
# A shorter answer says nothing, and some providers refuse to be asked for one.
MIN_ANSWER_TOKENS = 16
# A call that was refused like this never came to the model: nothing was used.
_UNUSED = frozenset(("auth", "rate_limited", "overloaded", "server", "bad_request", "not_found", "connect"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One call of a model, settled.

    Attributes:
        cost: nano-dollars; None when the price is not known.
        estimated: the provider has not told what was used.
        spent: what the turn has spent since its last charge.
    """

    charge_id: str
    at_ms: int
    usage: TokenUsage
    cost: int | None
    estimated: bool
    spent: Amounts


class TurnMeter:
    """Counts what one turn spends.

    Args:
        accounts: those that bind the turn, right now: asked before each call of the model.
        price: of the turn's model; None when it is not known.
        emit: publishes an event.
        now_ms: the wall clock, for the charges alone; durations are of trio's.
    """

    def __init__(
        self,
        accounts: Callable[[], Sequence[Account]],
        *,
        price: Price | None,
        emit: Callable[[EventPayload], Any],
        now_ms: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._bound = accounts()
        self._price = price
        self._emit = emit
        self._now_ms = now_ms
        self._clock = _Clock()
        self._settled_ms = 0
        self._tool_calls = 0
        self._charges: list[Charge] = []
        self._durable = 0
        self._scope: trio.CancelScope | None = None

    # -- what was spent -----------------------------------------------------------------------------------------------

    @property
    def charges(self) -> Sequence[Charge]:
        """All charges of the turn."""
        return tuple(self._charges)

    @property
    def unsaved(self) -> Sequence[Charge]:
        """Charges that are not durable yet, oldest first."""
        return tuple(self._charges[self._durable :])

    def saved(self, count: int) -> None:
        """So many of the oldest that `unsaved` gave are durable now."""
        self._durable += count

    def close(self) -> None:
        """The turn has ended: settle the time and the tool calls since its last call of the model."""
        rest = Amounts(time=self._take_time())
        budget.settle(self._bound, Amounts(), rest)
        rest = replace(rest, tool_calls=self._tool_calls)
        self._tool_calls = 0
        if self.unsaved:
            self._charges[-1] = replace(self._charges[-1], spent=self._charges[-1].spent + rest)
        elif rest != Amounts():
            self._add(TokenUsage(), cost=0, estimated=False, spent=rest)

    # -- the agent's side: `agent.meter.Meter` ------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        with trio.CancelScope() as self._scope, self._clock.running():
            self._set_deadline()
            yield
        if self._scope.cancelled_caught:
            raise self._exhausted(self._shortest_time() or Shortage(self._bound[0], "time", 0))

    @contextmanager
    def call(self, request: ModelRequest) -> Iterator["Call"]:
        accounts = self._bound = self._accounts()
        self._warn([due for account in accounts for due in account.crossings(Amounts(time=self._unsettled_ms))])
        self._check_time()
        call = Call(*self._fitted(request, accounts))
        short = budget.reserve(accounts, call.reserved)
        if short is not None:
            raise self._exhausted(short)
        self._set_deadline()
        try:
            yield call
        except ProviderError as error:
            if call.usage is None and not call.texts and error.details.get("kind") in _UNUSED:
                call.unused = True
            raise
        finally:
            # Nothing above waits: what was reserved is settled in whatever way the block was left.
            self._settle(accounts, call)
        if call.cut_short is not None:
            raise self._exhausted(call.cut_short)

    def allow_tools(self, count: int) -> None:
        accounts = self._bound
        self._check_time()
        wanted = Amounts(tool_calls=count)
        short = budget.shortage(accounts, wanted)
        if short is not None:
            raise self._exhausted(short)
        self._tool_calls += count
        self._warn(budget.settle(accounts, Amounts(), wanted))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        with self._clock.stopped():
            self._set_deadline()
            yield
        self._set_deadline()

    # -- reserving and settling ---------------------------------------------------------------------------------------

    def _fitted(
        self, request: ModelRequest, accounts: Sequence[Account]
    ) -> tuple[ModelRequest, Amounts, Shortage | None]:
        """The request as it may be made, what to reserve for it, and what will have cut its answer short if it ends at
        its limit."""
        if all(account.left(kind) is None for account in accounts for kind in ("tokens", "cost")):
            return request, Amounts(), None
        input_tokens = estimate_input(request)
        answer, short = request.max_tokens or DEFAULT_ANSWER_TOKENS, None
        for account in accounts:
            for kind in ("tokens", "cost"):
                room = self._room(account, kind, input_tokens)
                if room is not None and room < answer:
                    answer, short = room, Shortage(account, kind, 0)
        if answer < MIN_ANSWER_TOKENS and short is not None:
            raise self._exhausted(short._replace(wanted=self._worst(input_tokens, MIN_ANSWER_TOKENS).of(short.kind)))
        return replace(request, max_tokens=answer), self._worst(input_tokens, answer), short

    def _room(self, account: Account, kind: Kind, input_tokens: int) -> int | None:
        """The longest answer that an account has left beside the input; None for any."""
        left = account.left(kind)
        if left is None:
            return None
        if kind == "tokens":
            return left - input_tokens
        assert self._price is not None, "a turn that is bound by money is refused unless its price is known"
        return self._price.affordable_output(left, input_tokens=input_tokens)

    def _worst(self, input_tokens: int, answer: int) -> Amounts:
        cost = self._price.at_most(input_tokens=input_tokens, output_tokens=answer) if self._price is not None else 0
        return Amounts(tokens=input_tokens + answer, cost=cost)

    def _settle(self, accounts: Sequence[Account], call: "Call") -> None:
        # Servers that do not count say 0: that is no answer either.
        estimated = call.usage in (None, TokenUsage()) and not call.unused
        usage = call.estimate() if estimated else call.usage or TokenUsage()
        cost = self._price.cost(usage) if self._price is not None else None
        spent = Amounts(
            tokens=usage.input_tokens + usage.output_tokens,
            time=self._take_time(),
            cost=cost if cost is not None else 0,
        )
        if not call.unused:
            self._add(usage, cost=cost, estimated=estimated, spent=replace(spent, tool_calls=self._tool_calls))
            self._tool_calls = 0
        self._warn(budget.settle(accounts, call.reserved, spent))

    def _add(self, usage: TokenUsage, *, cost: int | None, estimated: bool, spent: Amounts) -> None:
        charge = Charge(
            charge_id=uuid7(), at_ms=self._now_ms(), usage=usage, cost=cost, estimated=estimated, spent=spent
        )
        self._charges.append(charge)

    def _warn(self, crossings: Sequence[Crossing]) -> None:
        for account, kind, used, limit in crossings:
            self._emit(
                {
                    "type": "budget_warning",
                    "budget_type": kind,
                    "used": used,
                    "limit": limit,
                    "percent": round(100 * used / limit, 1),
                    "scope": account.scope,
                }
            )

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def _unsettled_ms(self) -> int:
        return self._clock.elapsed_ms - self._settled_ms

    def _take_time(self) -> int:
        taken = self._unsettled_ms
        self._settled_ms += taken
        return taken

    def _check_time(self) -> None:
        short = self._shortest_time()
        left = short.account.left("time") if short is not None else None
        if short is not None and left is not None and left <= self._unsettled_ms:
            raise self._exhausted(short)

    def _shortest_time(self) -> Shortage | None:
        """The account that has the least time left, if any counts time."""
        bound = [(left, account) for account in self._bound if (left := account.left("time")) is not None]
        return Shortage(min(bound, key=lambda each: each[0])[1], "time", 0) if bound else None

    def _set_deadline(self) -> None:
        short = self._shortest_time()
        left = short.account.left("time") if short is not None else None
        if self._scope is not None:
            never = left is None or self._clock.is_stopped
            self._scope.deadline = (
                float("inf") if never else trio.current_time() + ((left or 0) - self._unsettled_ms) / 1000
            )

    def _exhausted(self, short: Shortage) -> BudgetExhausted:
        account, kind, wanted = short
        under_way = self._unsettled_ms if kind == "time" else 0
        return exhausted(account, kind, wanted=wanted, under_way=under_way)


class Call:
    """`agent.meter.MeteredCall`."""

    def __init__(self, request: ModelRequest, reserved: Amounts, short: Shortage | None) -> None:
        self.request = request
        self.reserved = reserved
        self.texts: list[str] = []
        self.usage: TokenUsage | None = None
        self.unused = False
        self.cut_short: Shortage | None = None
        self._short = short

    def heard(self, text: str) -> None:
        self.texts.append(text)

    def completed(self, usage: TokenUsage, *, cut: bool) -> None:
        self.usage = usage
        self.cut_short = self._short if cut else None

    def estimate(self) -> TokenUsage:
        """What a call that broke off has used, as far as it can be told from here."""
        return TokenUsage(
            input_tokens=estimate_input(self.request), output_tokens=estimate_tokens(["".join(self.texts)])
        )


class _Clock:
    """A stopwatch on trio's clock, which no change of the wall clock moves."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._since: float | None = None
        self._stops = 0

    @property
    def elapsed_ms(self) -> int:
        running = trio.current_time() - self._since if self._since is not None else 0.0
        return round((self._passed + running) * 1000)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._since = trio.current_time()
        try:
            yield
        finally:
            self._halt()

    @property
    def is_stopped(self) -> bool:
        return self._stops > 0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Blocks may overlap, as those of tools that run together."""
        self._stops += 1
        self._halt()
        try:
            yield
        finally:
            self._stops -= 1
            if self._stops == 0:
                self._since = trio.current_time()

    def _halt(self) -> None:
        if self._since is not None:
            self._passed += trio.current_time() - self._since
            self._since = None
