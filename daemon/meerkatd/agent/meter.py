"""The meter: what the agent's loop tells whoever counts tokens, time, tool calls and money, and may stop it.

The loop asks before it spends: `call` before each call of a model, `allow_tools` before an answer's tools are carried
out. It tells what was spent when it knows. Where the budgets are, and whom else they bind, is not known here.
"""

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from .port import ModelRequest, TokenUsage

# English is about 4 bytes of UTF-8 for a token, source code 3, Chinese 3 (a character): 3 rather counts too many.
_BYTES_PER_TOKEN = 3
# What the formats put around each message and tool.
_TOKENS_AROUND = 8


class MeteredCall(Protocol):
    """One call of a model while it is made."""

    @property
    def request(self) -> ModelRequest:
        """The call as it may be made: its answer no longer than what the budgets leave."""
        ...

    def heard(self, text: str) -> None:
        """A piece of the answer has arrived: all that is known of a call that breaks off."""
        ...

    def completed(self, usage: TokenUsage, *, cut: bool) -> None:
        """The answer is complete; `cut` when its limit of tokens ended it."""
        ...


class Meter(Protocol):
    """The budgets of one turn, as its agent sees them."""

    def running(self) -> AbstractContextManager[None]:
        """Around the whole of the agent's work: its time runs, and what runs out of it is cancelled.

        Raises:
            BudgetExhausted: after the block was cancelled, when it is the time that was used up.
        """
        ...

    def call(self, request: ModelRequest) -> AbstractContextManager[MeteredCall]:
        """Around one call of a model. On the way in its worst case is reserved, on the way out it is settled: with what
        `completed` said, or, however else the block is left, with an estimate that is marked as one.

        Raises:
            BudgetExhausted: on the way in, when the call does not fit; or after an answer that a budget cut short.
        """
        ...

    def allow_tools(self, count: int) -> None:
        """Count an answer's tool calls before any of them is carried out.

        Raises:
            BudgetExhausted: there are too many. None is counted, and none must run.
        """
        ...

    def waiting(self) -> AbstractContextManager[None]:
        """Around waiting for a person, such as an approval: that time is not the agent's. Blocks may overlap."""
        ...


def estimate_tokens(texts: Iterable[str]) -> int:
    """About as many tokens as these texts are; rather too many than too few."""
    return sum(_tokens(text) for text in texts)


def estimate_input(request: ModelRequest) -> int:
    """About as many tokens as the whole input of a call is."""
    parts = [request.system or ""]
    parts += [json.dumps(message, ensure_ascii=False) for message in request.messages]
    parts += [f"{tool.name} {tool.description} {json.dumps(dict(tool.input_schema))}" for tool in request.tools]
    return estimate_tokens(parts) + _TOKENS_AROUND * len(parts)


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)
