"""What the protocol layer and the methods above it know of each other, and nothing more.

The protocol side implements `Peer`; the methods side implements `Dispatcher` and `Conversation`. Params and results
are plain CBOR-able values; validation and the mapping from exceptions to error objects happen behind `Conversation`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypedDict


class ErrorData(TypedDict):
    code: str
    message: str
    details: dict[str, Any]


class ErrorObject(TypedDict):
    """The `error` member of a reply. `data.details` also has `hint` and `retryable`."""

    code: int
    message: str
    data: ErrorData


class Call:
    """One request in flight.

    Attributes:
        id: as the client sent it, an integer or a string.
        method, params: as received; params is a map, or None when absent.
        on_cancel: what a `cancel {request_id}` notification does. None (the default) cancels the handler, which is
            answered with REQUEST_CANCELLED. A handler may set it to do something better, e.g. interrupt its turn and
            let the reply tell the outcome.
    """

    __slots__ = ("id", "method", "on_cancel", "params")

    def __init__(self, call_id: int | str, method: str, params: dict[str, Any] | None) -> None:
        self.id = call_id
        self.method = method
        self.params = params
        self.on_cancel: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Call {self.id!r} {self.method}>"


class PeerGone(Exception):
    """The connection has ended; whoever wanted to send can stop."""


class Peer(Protocol):
    """One connection, as the methods see it."""

    @property
    def name(self) -> str:
        """A short unique name for logs, such as `c17`."""
        ...

    @property
    def pid(self) -> int | None:
        """The process at the other end, as the kernel tells it; None where it does not."""
        ...

    @property
    def local(self) -> bool:
        """Whether it came through the Unix socket, as a program of this user; false for one with a door's token."""
        ...

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification; waits while this connection's outbox is full.

        Raises:
            PeerGone: the connection has ended.
        """
        ...

    async def request(self, method: str, params: dict[str, Any], *, timeout: float) -> Any:
        """Ask the client and wait for its result.

        Raises:
            PeerGone: the connection ended before the reply.
            TimeoutError: no reply within `timeout` seconds.
            PeerRefused: the client answered with an error; its text is the exception's text.
        """
        ...

    def start(self, task: Callable[[], Awaitable[None]], *, name: str) -> None:
        """Run a background task that lives at most as long as the connection. `PeerGone` ends it quietly."""
        ...

    def close_after_reply(self) -> None:
        """Close the connection once the reply of the current call is on its way."""
        ...


class PeerRefused(Exception):
    """The client answered a server-to-client request with an error."""


class Conversation(Protocol):
    """The methods' side of one connection."""

    async def handle(self, call: Call) -> tuple[Any, ErrorObject | None]:
        """Carry out one request: `(result, None)` or `(None, error)`. Raises nothing but cancellation."""
        ...

    def ended(self) -> None:
        """The connection is gone; every handler has returned. Must not block."""
        ...


class Dispatcher(Protocol):
    """Makes a `Conversation` for each connection. One per daemon."""

    def conversation(self, peer: Peer) -> Conversation: ...


class Door(Protocol):
    """A way in beside the Unix socket.

    Attributes:
        url: where it is.
        token_path: the file with the token that it wants to be shown.
    """

    url: str
    token_path: str

    def close(self) -> None:
        """Close it, and put out everybody who came through it. Does not wait; closing twice is closing once."""
        ...


class Doors(Protocol):
    """Opens doors. One per daemon."""

    @property
    def urls(self) -> list[str]:
        """Of those that are open."""
        ...

    @property
    def connections(self) -> int:
        """How many there are through all of them."""
        ...

    def open(self, host: str, port: int, *, origins: Sequence[str]) -> Door:
        """Open a door on a loopback address.

        Args:
            port: 0 for any that is free.
            origins: of web pages that may connect.

        Raises:
            InvalidParams, PermissionDenied: nothing can listen there.
            Overloaded: there are too many.
        """
        ...
