"""The page for Prometheus on a port of loopback: GET /metrics, and nothing else.

What it tells names no realm, session, model or text, so it asks for no token; a web page that the user happens to
visit is kept out all the same: the Host must be that of the door, and a request with an Origin is refused.
"""

import logging
from collections.abc import Callable
from functools import partial

import h11
import trio

from .prometheus import CONTENT_TYPE

log = logging.getLogger(__name__)

# A scrape is one small request a few times a minute.
MAX_REQUEST_BYTES = 8 * 1024
REQUEST_SECONDS = 5.0
MAX_SCRAPERS = 8


async def serve_page(
    address: tuple[str, int],
    text: Callable[[], bytes],
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; starts with the port, which the system chooses for port 0.

    Raises:
        OSError: the address is in use or not of this machine.
    """
    listeners = await trio.open_tcp_listeners(address[1], host=address[0])
    port = listeners[0].socket.getsockname()[1]
    hosts = frozenset(f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost", "[::1]"))
    limiter = trio.CapacityLimiter(MAX_SCRAPERS)
    task_status.started(port)
    await trio.serve_listeners(partial(_answer, hosts=hosts, text=text, limiter=limiter), listeners)


async def _answer(
    stream: trio.SocketStream, *, hosts: frozenset[bytes], text: Callable[[], bytes], limiter: trio.CapacityLimiter
) -> None:
    async with stream, limiter:
        with trio.move_on_after(REQUEST_SECONDS):
            try:
                await _answer_one(stream, hosts, text)
            except trio.BrokenResourceError:
                log.debug("a scraper left before it was answered")
            except Exception:
                # What goes wrong with a page must not end the daemon.
                log.exception("the page of metrics could not be served")


async def _answer_one(stream: trio.SocketStream, hosts: frozenset[bytes], text: Callable[[], bytes]) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST_BYTES)
    request: h11.Request | None = None
    try:
        request = await _request(stream, connection)
        status, body = _reply(request, hosts, text)
    except h11.RemoteProtocolError as error:
        status, body = error.error_status_hint, b"This is no HTTP request that can be answered.\n"
    await _send(stream, connection, status, body, head_only=request is not None and request.method == b"HEAD")


async def _request(stream: trio.SocketStream, connection: h11.Connection) -> h11.Request:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(MAX_REQUEST_BYTES))
        elif isinstance(event, h11.Request):
            return event
        else:
            raise h11.RemoteProtocolError("the connection ended before a request")


def _reply(request: h11.Request, hosts: frozenset[bytes], text: Callable[[], bytes]) -> tuple[int, bytes]:
    named = [value for name, value in request.headers if name == b"host"]
    if len(named) != 1 or named[0] not in hosts:
        return 400, b"The Host must be that of this door.\n"
    if any(name == b"origin" for name, _ in request.headers):
        return 403, b"This is not for web pages.\n"
    if request.target != b"/metrics":
        return 404, b"There is only /metrics.\n"
    if request.method not in (b"GET", b"HEAD"):
        return 405, b"There is only GET.\n"
    return 200, text()


async def _send(
    stream: trio.SocketStream, connection: h11.Connection, status: int, body: bytes, *, head_only: bool
) -> None:
    kind = CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
    head = connection.send(h11.Response(status_code=status, headers=headers, reason=b""))
    assert head is not None
    # The library forgets a request that it could not read; what is sent then is what we say, and then all is over.
    await stream.send_all(head + (b"" if head_only else body))
