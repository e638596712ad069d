"""The connection of a blocking client, which is made anew when it was lost and is needed again."""

import time
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import RkatError
from ..following import LOOK_SECONDS, MOST_LOOK_SECONDS, Losses
from ..options import ConnectOptions, explain
from ..requests import Ask
from ..tools import METHOD, Toolbox, answer, failure
from .connection import Connection

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from ..types import Initialized

T = TypeVar("T")


class Link:
    """See the module. `open` first, `close` last."""

    def __init__(self, options: ConnectOptions, tools: Toolbox[Any]) -> None:
        self._options = options
        self._tools = tools
        self._offered = 0
        self._connection: Connection | None = None
        self._streams: set[Connection] = set()
        self._closed = False
        self.info: Initialized

    def __repr__(self) -> str:
        state = "closed" if self._closed else "lost" if self._current_or_none() is None else "connected"
        return f"<Link {state} streams={len(self._streams)}>"

    def open(self) -> None:
        """Connect.

        Raises:
            RkatError: as `Connection.open`.
        """
        self.ready()

    def close(self) -> None:
        """End the connection and its streams; turns go on without them. Safe to call twice."""
        self._closed = True
        for connection in (*self._streams, self._connection):
            if connection is not None:
                connection.close()

    def ask(self, ask: Ask[T]) -> T:
        """Ask and wait. A request that may be repeated outlives the loss of its connection.

        Raises:
            RkatError: what was answered, or DAEMON_UNAVAILABLE.
            KeyboardInterrupt: the request was taken back. A turn is interrupted then, and its end is waited for.
        """
        losses = Losses()
        while True:
            try:
                return ask.parse(self.ready().ask(ask.method, ask.params, grace=ask.runs_turn))
            except RkatError as error:
                if self._closed:
                    raise
                losses.count(explain(error, self.info), repeatable=ask.repeatable)

    def ready(self) -> Connection:
        """The connection, alive and with all tools offered."""
        if self._closed:
            raise closed()
        connection = self._current_or_none()
        if connection is None:
            if self._connection is not None:
                self._connection.close()
            connection = self._connection = self._open()
            self._offered = 0
            connection.on_request(METHOD, self._carry_out)
        if self._offered != self._tools.version:
            version = self._tools.version
            connection.ask("tools/register", {"tools": self._tools.definitions()})
            self._offered = version
        return connection

    def stream_connection(self, *, start: bool = True) -> Connection:
        """A connection of a stream's own, to the same realm. Give it back to `end_stream`.

        Args:
            start: False when somebody stopped the daemon: then wait until anybody has started it again.
        """
        if not start:
            self._when_one_runs().close()
        own = self.ready()
        connection = self._open()
        connection.serve_while_waiting(own)
        self._streams.add(connection)
        return connection

    def end_stream(self, connection: Connection) -> None:
        self._streams.discard(connection)
        connection.close()

    def _when_one_runs(self) -> Connection:
        pause = LOOK_SECONDS
        while True:
            try:
                return self._open(start=False)
            except RkatError as error:
                if error.code != "DAEMON_UNAVAILABLE" or self._closed:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, MOST_LOOK_SECONDS)

    def _open(self, *, start: bool | None = None) -> Connection:
        known = getattr(self, "info", None)
        options: ConnectOptions = self._options if start is None else {**self._options, "start": start}
        connection = Connection.open(options, realm_id=known["realm_id"] if known is not None else None)
        info: Any = connection.info
        self.info = info
        return connection

    def _current_or_none(self) -> Connection | None:
        connection = self._connection
        if connection is None or connection.lost is not None or connection.leaving is not None:
            return None
        return None if connection.hung_up() else connection

    def _carry_out(self, params: dict[str, Any]) -> dict[str, Any]:
        tool = self._tools.find(params)
        if tool is None:
            raise LookupError(f"This client does not carry out {params.get('name')}.")
        try:
            return answer(tool.handler(params.get("arguments") or {}))
        except Exception as error:
            return failure(tool, error)


def closed() -> RkatError:
    return RkatError(
        "DAEMON_UNAVAILABLE", "This client is closed.", retryable=False, hint="Connect it, or make another one."
    )
