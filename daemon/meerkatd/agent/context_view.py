r"""What the model sees of a session: a summary of the older part, where there is one, and the messages since. No I/O.

    committed messages   0 1 2 3 4 5 6 7 8 9 | 10 11 12      what this turn has made so far
                         \____ summary ____/
    the view             [summary] 8 9 | 10 11 12            of a compaction through message 8

Nothing is copied: making a view of a session of a hundred thousand messages costs what one of ten costs. The stored
transcript stays as it is; a compaction is a note beside it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from ..contract.message import Message, UserMessage

# English is about 4 characters for a token, and so is the JSON around it. It is only used for what no provider has
# counted yet.
CHARS_PER_TOKEN = 4

_OPENING = "Summary of the conversation up to here, made because it grew too long to be sent whole:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """A summary that stands for the first messages of a session.

    Attributes:
        through: number of the first message that is still sent as it is.
        summary: the text.
        summary_tokens: as the provider counted it.
        at: RFC 3339.
        model: which model wrote it, by its full name.
    """

    through: int
    summary: str
    summary_tokens: int
    at: str
    model: str

    def message(self) -> UserMessage:
        return {
            "role": "user",
            "content": f"{_OPENING}\n\n{self.summary}",
            "created_at": self.at,
            "transcript_role": "compaction_summary",
        }

    @classmethod
    def load(cls, document: Any) -> "Compaction | None":
        """From the session's document; None when there is none."""
        return None if document is None else cls(**{name: document[name] for name in cls.__slots__})


class ContextView(Sequence[Message]):
    """The messages of a call, as they are at the moment.

    Args:
        before: committed messages.
        length: how many of them there are for this turn; `before` may grow behind them.
        after: what this turn has made so far; it may grow, too.
        chars_before: characters of JSON of the committed messages from a number on.
    """

    def __init__(
        self,
        before: Sequence[Message],
        length: int,
        after: Sequence[Message],
        *,
        chars_before: Callable[[int], int],
        compaction: Compaction | None = None,
    ) -> None:
        self._before = before
        self._length = length
        self._after = after
        self._chars_before = chars_before
        self._chars_after: list[int] = []
        self.compact(compaction)

    def compact(self, compaction: Compaction | None) -> None:
        """Let a summary stand for what it is of, from now on."""
        self._head: tuple[Message, ...] = () if compaction is None else (compaction.message(),)
        self._start = 0 if compaction is None else compaction.through
        self._head_chars = 0 if compaction is None else len(compaction.summary)

    @property
    def start(self) -> int:
        """Number of the first message that is shown as it is."""
        return self._start

    @property
    def committed(self) -> int:
        """Number of the first message of this turn."""
        return self._length

    @property
    def end(self) -> int:
        """Number of the message that comes next."""
        return self._length + len(self._after)

    def at(self, number: int) -> Message:
        """A message by its number in the session."""
        return self._before[number] if number < self._length else self._after[number - self._length]

    def chars_from(self, number: int) -> int:
        """Characters of JSON of the messages from a number on."""
        for message in self._after[len(self._chars_after) :]:
            self._chars_after.append(len(json.dumps(message, ensure_ascii=False)))
        committed = self._chars_before(number) if number < self._length else 0
        return committed + sum(self._chars_after[max(0, number - self._length) :])

    def tokens_from(self, number: int) -> int:
        """About as many tokens as the messages from a number on are; with the summary, from the view's start on."""
        head = self._head_chars if number <= self._start else 0
        return (head + self.chars_from(number)) // CHARS_PER_TOKEN

    def __len__(self) -> int:
        return len(self._head) + self.end - self._start

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._head[index] if index < len(self._head) else self.at(self._start + index - len(self._head))

    def __iter__(self) -> Iterator[Message]:
        yield from self._head
        for number in range(self._start, self._length):
            yield self._before[number]
        yield from self._after[max(0, self._start - self._length) :]
