"""Who may pass the door on loopback TCP, judged by the upgrade request alone. No I/O.

Loopback is no boundary: every user of the machine can connect, and so can every web page that somebody looks at. So a
request needs all of these, and is refused by the first that it lacks:

    Host            exactly one name of this door: a page that had its own name resolve to 127.0.0.1 shows that name
    Sec-Fetch-Site  not cross-site, where a browser tells it
    Origin          none, or one that whoever opened the door has named
    token           in `Authorization: Bearer`, or, because a page cannot set headers, among the subprotocols

What is refused is told why in a constant text; nothing of the request is repeated, least of all a token.
"""

import hmac
from collections.abc import Iterable, Iterator

from wsproto.events import Request

from .websocket import Rejection

# An item of Sec-WebSocket-Protocol. It is never the one that is chosen, so it is not sent back.
TOKEN_PROTOCOL = "meerkat.token."

_WRONG_HOST = Rejection(403, "The Host header must be a name of this door, with its port.")
_CROSS_SITE = Rejection(403, "A page of another site may not connect.")
_WRONG_ORIGIN = Rejection(403, "Pages of this origin may not connect; whoever opened the door names those that may.")
_NO_TOKEN = Rejection(401, "The token of this door is needed: as a bearer token, or as a subprotocol.")


class LoopbackGate:
    """`listener.websocket.Gate` of one door.

    Args:
        port: where the door listens.
        token: ASCII; what must be shown.
        origins: those whose pages may connect, as browsers spell them.
    """

    def __init__(self, port: int, token: str, origins: Iterable[str]) -> None:
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self._token = token.encode("ascii")
        self._origins = frozenset(origin.encode() for origin in origins)

    def __repr__(self) -> str:
        return f"<LoopbackGate {len(self._origins)} origins>"

    def __call__(self, request: Request) -> Rejection | None:
        if request.host.lower() not in self._hosts:
            return _WRONG_HOST
        if any(value.strip().lower() == b"cross-site" for value in _values(request, b"sec-fetch-site")):
            return _CROSS_SITE
        origins = list(_values(request, b"origin"))
        if len(origins) > 1 or not self._origins.issuperset(origins):
            return _WRONG_ORIGIN
        return None if self._shows_token(request) else _NO_TOKEN

    def _shows_token(self, request: Request) -> bool:
        """Whether it shows the token, and nothing else in its place."""
        shown = list(_shown(request))
        # All are compared, and each in constant time: how long it takes tells nothing of the token.
        right = [hmac.compare_digest(each, self._token) for each in shown]
        return bool(right) and all(right)


def _shown(request: Request) -> Iterator[bytes]:
    for value in _values(request, b"authorization"):
        scheme, _, token = value.partition(b" ")
        yield token.strip() if scheme.lower() == b"bearer" else b""
    for name in request.subprotocols:
        if name.startswith(TOKEN_PROTOCOL):
            yield name.removeprefix(TOKEN_PROTOCOL).encode(errors="replace")


def _values(request: Request, name: bytes) -> Iterator[bytes]:
    return (value for each, value in request.extra_headers if each.lower() == name)
