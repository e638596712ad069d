"""Run a coroutine in the current task until it has to wait, and only then care that somebody else goes on.

A coroutine that finishes without waiting needs no task of its own, and under trio a task costs more than many of our
methods. Its first wait cannot be moved into another task (trio binds a wait to the task that began it), so the roles
change instead: whoever called gets a chance to start a successor before the wait begins.

Restriction: context variables that the coroutine sets and leaves set stay visible to the caller.
"""

import functools
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def run_inline(coroutine: Coroutine[Any, Any, T], before_wait: Callable[[], None]) -> Generator[Any, Any, T]:
    """Await `coroutine`; calls `before_wait` at most once, right before its first wait.

    Cancellation reaches the coroutine as with a plain `await`.
    """
    try:
        trap = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    before_wait()
    while True:
        try:
            sent = yield trap
        except BaseException as error:
            # Cancellation comes this way; it is the coroutine's to handle.
            advance: Callable[[], Any] = functools.partial(coroutine.throw, error)
        else:
            advance = functools.partial(coroutine.send, sent)
        try:
            trap = advance()
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
