"""Who may come in: every method, name of the server, origin and token, in every combination."""

import itertools

import h11
import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived
from tests.rest.rest_kit import TOKEN, Rest, running_rest
from tests.support.house import House

from meerkat_client.errors import RkatError
from rkat_shims.rest.guard import Guard, Head

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
# PORT stands for the server's own.
GOOD_HOSTS = ("127.0.0.1:PORT", "localhost:PORT", "LocalHost:PORT", "[::1]:PORT")
BAD_HOSTS = (
    "127.0.0.1",
    "localhost:1",
    "evil.example:PORT",
    "localhost.:PORT",
    "localhost:PORT.evil.example",
    "127.0.0.1.nip.io:PORT",
    "0.0.0.0:PORT",
    "",
)
OWN_ORIGIN = "http://HOST"
BAD_ORIGINS = (
    "null",
    "http://evil.example",
    "https://HOST",
    "http://localhost:1",
    "http://HOST.evil.example",
    "http://evil.example, http://HOST",
)


async def test_nothing_passes_without_the_token_the_right_host_and_an_origin_that_is_ours(rest: Rest) -> None:
    """DNS rebinding, requests of pages, and other users of the machine; block-lists of methods have failed before."""
    passed = set()
    combinations = list(itertools.product(GOOD_HOSTS + BAD_HOSTS, (None, OWN_ORIGIN, *BAD_ORIGINS), (True, False)))
    assert len(combinations) == 12 * 8 * 2
    for method in METHODS:
        async with rest.connected() as connection:
            for name, origin, token in combinations:
                host = name.replace("PORT", str(rest.port))
                headers = [("host", host)]
                headers += [("origin", origin.replace("HOST", host))] if origin is not None else []
                headers += [("authorization", f"Bearer {TOKEN}")] if token else []
                status = _status(await _raw(connection.stream, method, headers))
                good = name in GOOD_HOSTS and origin in (None, OWN_ORIGIN)
                if good and token:
                    passed.add((method, status))
                else:
                    assert status == (401 if good else 403), (method, name, origin, token)
    assert passed == {
        ("GET", 200),
        ("POST", 400),
        *((method, 405) for method in METHODS if method not in ("GET", "POST")),
    }


async def _raw(stream: trio.SocketStream, method: str, headers: list[tuple[str, str]]) -> bytes:
    """A request as bytes, because h11 would not write some of them; its response, of which HEAD has no body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    await stream.send_all(f"{method} /sessions HTTP/1.1\r\n{lines}\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some()
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while method != "HEAD" and len(rest) < length:
        rest += await stream.receive_some()
    return head


def _status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "head",
    [
        "GET /sessions HTTP/1.1\r\nAUTH\r\n\r\n",
        "GET /sessions HTTP/1.0\r\nAUTH\r\n\r\n",
        "GET /sessions HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\nAUTH\r\n\r\n",
        "GET /sessions HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\nAUTH\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: HOST\r\nAUTH\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /sessions HTTP/1.1\r\nHost: HOST\r\nAUTH\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "GET /" + "x" * 9000 + " HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n\r\n",
        "GET /\x00 HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n\r\n",
        "GET  HTTP/1.1\r\nHost: HOST\r\nAUTH\r\n\r\n",
        "nonsense\r\n\r\n",
    ],
    ids=[
        "no host", "no host in 1.0", "host twice", "two hosts", "two lengths", "contradicting lengths", "long address",
        "control character", "no address", "nonsense",
    ],
)  # fmt: skip
async def test_a_malformed_head_is_400(rest: Rest, head: str) -> None:
    assert _status(await _first_bytes(rest, head)) == 400


@pytest.mark.parametrize("size", [170, 2000])
async def test_headers_have_a_limit(rest: Rest, size: int) -> None:
    lines = "".join(f"X-{n}: {'x' * size}\r\n" for n in range(100))
    head = f"GET /sessions HTTP/1.1\r\nHost: HOST\r\n{lines}\r\n"
    assert _status(await _first_bytes(rest, head)) in (400, 431)


async def _first_bytes(rest: Rest, head: str) -> bytes:
    head = head.replace("HOST", rest.host).replace("AUTH", f"Authorization: Bearer {TOKEN}")
    async with rest.connected() as connection:
        await connection.stream.send_all(head.encode())
        return bytes(await connection.stream.receive_some())


async def test_an_upgrade_to_a_websocket_is_refused_with_and_without_everything(rest: Rest) -> None:
    upgrade = [
        ("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]  # fmt: skip
    for more in ([], [("origin", "http://evil.example")], [("authorization", f"Bearer {TOKEN}")]):
        async with rest.connected() as connection:
            reply = await connection.ask("GET", "/sessions", [("host", rest.host), *upgrade, *more])
            assert reply.status == 403


async def test_http_2_is_not_spoken(rest: Rest) -> None:
    """Its many requests over one connection would come around the limits of connections."""
    speaker = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    speaker.initiate_connection()
    head = [(":method", "GET"), (":path", "/sessions"), (":scheme", "http"), (":authority", rest.host)]
    speaker.send_headers(1, [*head, ("authorization", f"Bearer {TOKEN}")], end_stream=True)
    async with rest.connected() as connection:
        await connection.stream.send_all(speaker.data_to_send())
        found: list[ResponseReceived] = []
        while not found:
            events = speaker.receive_data(await connection.stream.receive_some())
            found = [event for event in events if isinstance(event, ResponseReceived)]
    assert (":status", "400") in found[0].headers


async def test_what_another_site_has_caused_is_refused_even_without_an_origin(rest: Rest) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert (await rest.ask("GET", "/sessions", sec_fetch_site=site)).status == status


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN} x"],
)
async def test_only_the_whole_token_opens(rest: Rest, header: str) -> None:
    reply = await rest.ask("GET", "/sessions", authorization=header)
    assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN[:-1].encode() not in reply.body


async def test_two_tokens_are_none(rest: Rest) -> None:
    async with rest.connected() as connection:
        headers = [*rest.headers(), ("authorization", f"Bearer {TOKEN}")]
        assert (await connection.ask("GET", "/sessions", headers)).status == 401


async def test_health_is_open_to_those_who_call_the_server_by_its_name_and_tells_nothing(rest: Rest) -> None:
    reply = await rest.ask("GET", "/health", authorization="")
    assert (reply.status, reply.body) == (200, b"ok")
    for verb, target in (("POST", "/health"), ("GET", "/health/"), ("GET", "//health"), ("GET", "/docs")):
        assert (await rest.ask(verb, target, authorization="")).status == 401
    assert (await rest.ask("GET", "/health", authorization="", host="evil.example")).status == 403
    assert (await rest.ask("GET", "/health", authorization="", origin="http://evil.example")).status == 403


async def test_no_answer_lets_another_origin_read_it_or_anybody_keep_it(rest: Rest) -> None:
    for reply in (
        await rest.ask("GET", "/sessions"),
        await rest.ask("GET", "/nowhere"),
        await rest.ask("GET", "/docs"),
        await rest.ask("OPTIONS", "/sessions", origin="http://evil.example"),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control-")]
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers
        assert "set-cookie" not in reply.headers


async def test_a_name_is_let_in_when_it_was_allowed(house: House) -> None:
    async with running_rest(house, realm="r", allowed_hosts=("meerkat.example", "other.example:443")) as rest:
        for host, status in (
            ("meerkat.example", 200),
            ("meerkat.example:8443", 200),
            ("Meerkat.Example", 200),
            ("other.example:443", 200),
            ("other.example", 403),
            ("x.meerkat.example", 403),
            (rest.host, 200),
        ):
            assert (await rest.ask("GET", "/sessions", host=host)).status == status, host


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(rest: Rest) -> None:
    async with rest.connected() as connection:
        headers = rest.headers({"content-type": "application/json", "content-length": str(9 << 20)})
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        await connection.stream.send_all(f"POST /sessions HTTP/1.1\r\n{lines}\r\n".encode())
        assert _status(bytes(await connection.stream.receive_some())) == 413


async def test_a_chunked_body_is_bounded_too(rest: Rest) -> None:
    async with rest.connected() as connection:
        headers = rest.headers({"content-type": "application/json", "transfer-encoding": "chunked"})
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        await connection.stream.send_all(f"POST /sessions HTTP/1.1\r\n{lines}\r\n".encode())
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with pytest.raises((trio.BrokenResourceError, AssertionError)):  # noqa: PT012
            for _ in range(200):
                await connection.stream.send_all(piece)
            raise AssertionError("it took all of it")
        assert rest.shim.bodies.held == 0


@pytest.mark.parametrize(
    ("host", "port", "good", "bad"),
    [
        ("127.0.0.1", 80, "localhost", "localhost:8080"),
        ("::1", 8080, "[::1]:8080", "::1:8080"),
        ("192.0.2.7", 8080, "192.0.2.7:8080", "localhost:8080"),
        ("127.0.0.2", 8080, "127.0.0.2:8080", "localhost:8080"),
    ],
)
def test_the_server_is_called_by_the_address_at_which_the_request_came_in(
    host: str, port: int, good: str, bad: str
) -> None:
    def check(name: str) -> None:
        headers = [(b"host", name.encode()), (b"authorization", b"bearer t")]
        Guard(b"t", frozenset()).check(
            Head(method="GET", path="/", version="1.1", target_bytes=1, headers=headers, server=(host, port))
        )

    check(good)
    with pytest.raises(RkatError) as refused:
        check(bad)
    assert refused.value.code == "PERMISSION_DENIED"


def test_h11_still_refuses_what_this_server_leaves_to_it() -> None:
    """No Host, or two, never reach the guard: the server below answers."""
    for hosts in ([], [("host", "a"), ("host", "b")]):
        with pytest.raises(h11.LocalProtocolError):
            h11.Request(method="GET", target="/", headers=hosts)
