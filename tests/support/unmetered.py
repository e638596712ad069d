"""A meter that lets everything pass, for tests of an agent whose budgets are of no interest."""

from collections.abc import Iterator
from contextlib import contextmanager

from meerkatd.agent.port import ModelRequest, TokenUsage


class Unmetered:
    """`agent.meter.Meter` without limits."""

    @contextmanager
    def running(self) -> Iterator[None]:
        yield

    @contextmanager
    def call(self, request: ModelRequest) -> Iterator["UnmeteredCall"]:
        yield UnmeteredCall(request)

    def allow_tools(self, count: int) -> None:
        """Any number."""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        yield


class UnmeteredCall:
    """`agent.meter.MeteredCall` that forgets what it hears."""

    def __init__(self, request: ModelRequest) -> None:
        self.request = request

    def heard(self, text: str) -> None:
        """Nothing is counted."""

    def completed(self, usage: TokenUsage, *, cut: bool) -> None:
        """Nothing is counted."""
