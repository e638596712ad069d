"""May this request come in? Asked before anything of it is looked at but its head. No I/O.

In this order, so that nothing is told to somebody who should not even have come this far: is it plain HTTP/1; does it
name this server, once; does it come from a page of another origin; does it carry the token. Only `GET /health` needs
no token, and it says nothing.
"""

import hmac
from collections.abc import Iterable
from typing import NamedTuple

from meerkat_client.errors import RkatError

Headers = list[tuple[bytes, bytes]]
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
OPEN_PATHS = frozenset(("/health",))
# What a browser says of a request that no other site has caused: typed in, or from a page of ours.
_OWN_FETCHES = (b"none", b"same-origin")
# The target, and all headers together. The server below bounds what arrives in many pieces, and not what comes at once.
MAX_TARGET_BYTES = 8 * 1024
MAX_HEADERS_BYTES = 16 * 1024
_SCHEME = b"bearer "
SECRET_HEADER = "x-webhook-secret"


class Guard(NamedTuple):
    """What requests must show.

    Attributes:
        token: the secret.
        allowed_hosts: names beyond the loopback's, in lower case; one without a port counts with every port.
        webhook_secret: what those who tell of external events must know besides; None for nothing.
    """

    token: bytes
    allowed_hosts: frozenset[str]
    webhook_secret: bytes | None = None

    def __repr__(self) -> str:
        return f"<Guard allowed_hosts={sorted(self.allowed_hosts)}>"

    def check(self, scope: "Head") -> None:
        """Let a request pass, or raise.

        Raises:
            RkatError: INVALID_REQUEST, PERMISSION_DENIED or UNAUTHORIZED.
        """
        self._check_form(scope)
        host = self._check_host(scope)
        _check_origin(scope.headers, host)
        if not (scope.path in OPEN_PATHS and scope.method == "GET"):
            self._check_token(scope.headers)

    def check_webhook(self, given: list[str]) -> None:
        """Let somebody tell of an external event, or raise UNAUTHORIZED. Besides the token, not instead of it."""
        if self.webhook_secret is None:
            return
        found = given[0].encode("latin-1", "replace") if len(given) == 1 else b""
        if not hmac.compare_digest(found, self.webhook_secret):
            raise RkatError(
                "UNAUTHORIZED",
                "The webhook's secret is missing or wrong.",
                hint="Send the header X-Webhook-Secret with what RKAT_WEBHOOK_SECRET is here.",
            )

    def _check_form(self, scope: "Head") -> None:
        if scope.version not in ("1.0", "1.1"):
            raise RkatError("INVALID_REQUEST", "Only HTTP/1.1 is spoken here.", hint="Call without --http2.")
        if _values(scope.headers, b"transfer-encoding") and _values(scope.headers, b"content-length"):
            raise _bad("Transfer-Encoding and Content-Length cannot be used together.")
        if scope.target_bytes > MAX_TARGET_BYTES:
            raise _bad(f"The address has {scope.target_bytes} bytes; at most {MAX_TARGET_BYTES} are taken.")
        if sum(len(name) + len(value) for name, value in scope.headers) > MAX_HEADERS_BYTES:
            raise _bad(f"The headers have more than {MAX_HEADERS_BYTES} bytes.")

    def _check_host(self, scope: "Head") -> str:
        found = _values(scope.headers, b"host")
        if len(found) != 1:
            raise _bad("A request must have the header Host exactly once.")
        host = found[0].decode("latin-1").lower()
        if host not in _names(scope.server) and not self._is_allowed(host):
            raise RkatError(
                "PERMISSION_DENIED",
                "This server is not called by the name in the header Host.",
                hint="Call it by the address that it printed at its start; --allow-host adds a name.",
            )
        return host

    def _is_allowed(self, host: str) -> bool:
        return host in self.allowed_hosts or _without_port(host) in self.allowed_hosts

    def _check_token(self, headers: Headers) -> None:
        found = _values(headers, b"authorization")
        if len(found) != 1 or not found[0][: len(_SCHEME)].lower() == _SCHEME:
            raise RkatError("UNAUTHORIZED", "The request carries no token.")
        if not hmac.compare_digest(found[0][len(_SCHEME) :].strip(), self.token):
            raise RkatError("UNAUTHORIZED", "The request carries another token than this server's.")


class Head(NamedTuple):
    """A request's head.

    Attributes:
        headers: names in lower case.
        server: the address at which it came in.
    """

    method: str
    path: str
    version: str
    target_bytes: int
    headers: Headers
    server: tuple[str, int | None] | None


def _check_origin(headers: Headers, host: str) -> None:
    own = f"http://{host}".encode("latin-1")
    if any(origin.lower() != own for origin in _values(headers, b"origin")):
        raise _foreign("The request comes from a page of another origin.")
    if any(site not in _OWN_FETCHES for site in _values(headers, b"sec-fetch-site")):
        raise _foreign("The request was caused by another site.")


def _foreign(message: str) -> RkatError:
    return RkatError(
        "PERMISSION_DENIED", message, hint="Call it from a program, not from a page: browsers are let in from nowhere."
    )


def _names(server: tuple[str, int | None] | None) -> Iterable[str]:
    """What this server may be called by those who came in at this address, as Host spells it."""
    if server is None:
        return ()
    address, port = server
    literal = f"[{address}]" if ":" in address else address
    names = {literal, *LOOPBACK_NAMES} if literal in LOOPBACK_NAMES else {literal}
    # A client leaves the port out when it is HTTP's own.
    return {f"{name}:{port}" for name in names} | (names if port == 80 else set())


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _bad(message: str) -> RkatError:
    return RkatError("INVALID_REQUEST", message, hint="Send one well-formed HTTP/1.1 request.")
