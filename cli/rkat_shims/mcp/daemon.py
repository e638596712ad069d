"""The connection to the daemon. Made when it is first needed: a client that only looks what there is starts no daemon,
and a daemon that cannot be started is told by the tool that needs it, in words, instead of a server that does not come
up."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from meerkat_client._async.connection import Connection
from meerkat_client._async.link import Link
from meerkat_client._async.streams import EventStream, EventSubscription
from meerkat_client.errors import RkatError
from meerkat_client.requests import Ask
from meerkat_client.tools import Toolbox

from .options import NAME, Options

# Enough for any program; what others are told is one line.
_MOST_NAME: Final = 100


class Daemon:
    """See the module. An asynchronous context manager.

    Attributes:
        closed: it was left on purpose; nothing is asked any more.
    """

    def __init__(self, options: Options) -> None:
        self._options = options.connect
        self._link = Link(self._options, Toolbox())
        self.closed = False

    def __repr__(self) -> str:
        return f"<Daemon {self._link!r}>"

    async def __aenter__(self) -> Self:
        await self._link.open(connect=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self._link.leave()

    def close(self) -> None:
        """Leave the daemon at once: turns go on, and requests that wait for them fail. Safe to call twice."""
        self.closed = True
        self._link.close()

    def speak_for(self, client: str) -> None:
        """Say on connections that are made from now on which program is behind this one."""
        plain = "".join(character for character in client if character.isprintable())[:_MOST_NAME]
        self._options["name"] = plain.strip() or NAME

    async def ask(
        self, method: str, params: Mapping[str, Any], *, repeatable: bool = True, runs_turn: bool = False
    ) -> Any:
        """Ask and wait, over lost connections if asking twice does nothing twice.

        Raises:
            RkatError: what was answered, or DAEMON_UNAVAILABLE.

        Cancellation: the request is taken back; a turn is interrupted then.
        """
        try:
            return await self._link.ask(_asking(method, params, repeatable=repeatable, runs_turn=runs_turn))
        except RkatError as error:
            raise self._left() if self.closed else error from error

    def turn(self, method: str, params: Mapping[str, Any]) -> EventStream:
        """A turn with its events; it begins when the stream is entered. Its result is the daemon's, as it is."""
        ask = _asking(method, params, repeatable=True, runs_turn=True)
        return EventStream(self._link, ask, session=None, session_id=params.get("session_id"))

    async def subscribe(self, session_id: str) -> EventSubscription:
        """A session's events from now on. Raises as `ask`."""
        return await EventSubscription(self._link, session_id, cursor=None).open()

    async def connection(self) -> Connection:
        """A connection of the caller's own, to the same realm; to be given back."""
        return await self._link.stream_connection()

    def give_back(self, connection: Connection) -> None:
        self._link.end_stream(connection)

    def _left(self) -> RkatError:
        return RkatError(
            "DAEMON_UNAVAILABLE",
            f"{NAME} has ended with its input.",
            hint="A turn that runs goes on: read the session later.",
            retryable=False,
        )


def _asking(method: str, params: Mapping[str, Any], *, repeatable: bool, runs_turn: bool) -> Ask[Any]:
    given = {**params, "session_events": False} if runs_turn else params
    return Ask(method, given, _plain, repeatable=repeatable, runs_turn=runs_turn)


def _plain(result: Any) -> Any:
    return result
