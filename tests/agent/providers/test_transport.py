"""Nasty moments of the transport, over all wire formats: cancellation, silence, hang-ups, and what is told of them."""

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from tests.agent.providers.dialects import ANTHROPIC, KEY, OPENAI, Dialect
from tests.agent.providers.provider_kit import AT_ONCE, ask, collect, completed
from tests.agent.providers.scripted_server import Exchange, ScriptedServer

from meerkatd.agent.port import Provider, Retrying, TextDelta
from meerkatd.agent.providers import RetryPolicy, Timeouts, http, open_provider, preload
from meerkatd.errors import ProviderError

Serve = Callable[..., Awaitable[ScriptedServer]]


# An abandoned generator closes its connection when the collector comes by, or never.
pytestmark = pytest.mark.filterwarnings("error:Async generator:ResourceWarning")


@contextlib.asynccontextmanager
async def opened(dialect: Dialect, url: str, *, retry: RetryPolicy = AT_ONCE) -> AsyncIterator[Provider]:
    provider = open_provider(dialect.endpoint(url), retry=retry)
    with trio.fail_after(10):
        try:
            yield provider
        finally:
            await provider.aclose()


class Watched:
    """A handler that answers up to a point and then waits for the client to close."""

    def __init__(self, dialect: Dialect, point: str) -> None:
        self._dialect = dialect
        self._point = point
        self.there = trio.Event()
        self.closed = trio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        if self._point != "before headers":
            await exchange.head()
        if self._point in ("in the answer", "flowing"):
            await exchange.events(self._dialect.pieces)
        self.there.set()
        if self._point == "flowing":
            with contextlib.suppress(trio.BrokenResourceError):
                while True:
                    await exchange.events(self._dialect.pieces[-1:])
        else:
            await exchange.client_closes()
        self.closed.set()


POINTS = ["before headers", "before the first event", "in the answer", "flowing"]


@pytest.mark.parametrize("point", POINTS)
async def test_cancelling_a_call_closes_the_connection(
    serve: Serve, dialect: Dialect, point: str, nursery: trio.Nursery
) -> None:
    watched = Watched(dialect, point)
    server = await serve(watched)
    async with opened(dialect, server.url) as provider:
        with trio.CancelScope() as scope:

            async def cancel_there() -> None:
                await watched.there.wait()
                if point != "flowing":
                    await trio.testing.wait_all_tasks_blocked()
                scope.cancel()

            nursery.start_soon(cancel_there)
            async with provider.stream(ask()) as events:
                async for _ in events:
                    pass
        assert scope.cancelled_caught
        await watched.closed.wait()


@pytest.mark.parametrize("how", ["break", "raise", "cancel between events"])
async def test_a_consumer_that_stops_between_two_events_closes_the_connection(
    serve: Serve, dialect: Dialect, how: str
) -> None:
    """Measured: a bare `async for` over the official SDKs leaves the connection open for good."""
    watched = Watched(dialect, "in the answer")
    server = await serve(watched)
    async with opened(dialect, server.url) as provider:
        with contextlib.suppress(ZeroDivisionError), trio.CancelScope() as scope:
            async with provider.stream(ask()) as events:
                async for _ in events:
                    if how == "break":
                        break
                    if how == "raise":
                        raise ZeroDivisionError
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
        await watched.closed.wait()


async def test_cancelling_in_the_pause_before_a_retry_ends_the_call_at_once(serve: Serve, dialect: Dialect) -> None:
    async def fail(exchange: Exchange) -> None:
        await exchange.refuse(500, "{}")

    server = await serve(fail)
    async with opened(dialect, server.url, retry=RetryPolicy(initial_delay=3600, max_delay=3600)) as provider:
        with trio.CancelScope() as scope:
            async with provider.stream(ask()) as events:
                async for event in events:
                    assert isinstance(event, Retrying)
                    scope.deadline = trio.current_time()
        assert scope.cancelled_caught
        assert len(server.requests) == 1


async def test_three_calls_use_one_connection(serve: Serve, dialect: Dialect) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(dialect.whole)

    server = await serve(answer)
    async with opened(dialect, server.url) as provider:
        for _ in range(3):
            async with provider.stream(ask()) as events:
                got = [event async for event in events]
            assert [event.text for event in got if isinstance(event, TextDelta)] == ["Hello ", "world"]
            usage = completed(got).usage
            assert (usage.input_tokens, usage.output_tokens) == (11, 5)
    assert (len(server.requests), server.connections) == (3, 1)


async def test_fifty_calls_at_once_all_get_their_own_answer(serve: Serve, dialect: Dialect) -> None:
    server = await serve(_numbered(dialect))
    got: dict[int, str] = {}

    async def one(provider: Provider, number: int) -> None:
        async with provider.stream(ask(f"number {number}!")) as events:
            got[number] = "".join([event.text async for event in events if isinstance(event, TextDelta)])

    async with opened(dialect, server.url) as provider, trio.open_nursery() as calls:
        for number in range(50):
            calls.start_soon(one, provider, number)
    assert got == {number: f"Hello number {number}!" for number in range(50)}


def _numbered(dialect: Dialect) -> Callable[[Exchange], Awaitable[None]]:
    async def answer(exchange: Exchange) -> None:
        body = exchange.request.body.decode()
        asked = body[body.index("number ") : body.index("!") + 1]
        await exchange.answer([piece.replace("world", asked) for piece in dialect.whole])

    return answer


async def test_an_error_event_before_anything_was_shown_is_tried_again(serve: Serve, dialect: Dialect) -> None:
    async def overloaded(exchange: Exchange) -> None:
        await exchange.answer([dialect.error_event])

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(dialect.whole)

    server = await serve(overloaded, answer)
    events = await collect(open_provider(dialect.endpoint(server.url), retry=AT_ONCE), ask())
    assert isinstance(events[0], Retrying)
    assert "overloaded" in events[0].error
    assert completed(events).stop_reason == "end_turn"


async def test_an_error_event_within_an_answer_is_an_error(serve: Serve, dialect: Dialect) -> None:
    async def overloaded(exchange: Exchange) -> None:
        await exchange.answer([*dialect.pieces, dialect.error_event])

    server = await serve(overloaded)
    with pytest.raises(ProviderError) as caught:
        await collect(open_provider(dialect.endpoint(server.url), retry=AT_ONCE), ask())
    assert caught.value.details["kind"] == "overloaded"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "value", "waited"), [("retry-after", "2", 2.0), ("retry-after-ms", "1500", 1.5), ("x-other", "1", 0.5)]
)
async def test_the_provider_says_how_long_to_wait_and_is_believed(
    serve: Serve, dialect: Dialect, header: str, value: str, waited: float, mock_clock: trio.testing.MockClock
) -> None:
    async def limit(exchange: Exchange) -> None:
        await exchange.refuse(429, "{}", **{header: value})

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(dialect.whole)

    server = await serve(limit, answer)
    provider = open_provider(dialect.endpoint(server.url), retry=RetryPolicy(jitter=0.0))
    async with provider.stream(ask()) as events:
        first = await anext(aiter(events))
        assert isinstance(first, Retrying)
        assert first.delay_ms == round(waited * 1000)
        mock_clock.autojump_threshold = 0.02
        begun = trio.current_time()
        await anext(aiter(events))
        mock_clock.autojump_threshold = float("inf")
        assert trio.current_time() - begun == pytest.approx(waited)
    await provider.aclose()


async def test_a_wait_that_no_person_would_sit_through_is_told_instead(serve: Serve, dialect: Dialect) -> None:
    async def limit(exchange: Exchange) -> None:
        await exchange.refuse(429, '{"error": {"message": "come back tomorrow"}}', **{"retry-after": "86400"})

    server = await serve(limit)
    with pytest.raises(ProviderError) as caught:
        await collect(open_provider(dialect.endpoint(server.url), retry=AT_ONCE), ask())
    assert caught.value.details["kind"] == "rate_limited"
    assert caught.value.details["retry_after_s"] == 86400
    assert len(server.requests) == 1


async def test_a_refused_connection_is_tried_again_and_then_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ProviderError) as caught:
        await collect(open_provider(OPENAI.endpoint(f"http://127.0.0.1:{port}"), retry=AT_ONCE), ask())
    assert (caught.value.details["kind"], caught.value.details["attempts"]) == ("connect", 4)


async def test_a_connection_that_nobody_accepts_ends_with_the_connect_limit() -> None:
    """A full backlog is a true hang of the handshake, on loopback too."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(address)
            provider = open_provider(
                OPENAI.endpoint(f"http://127.0.0.1:{address[1]}"),
                retry=RetryPolicy(max_retries=0),
                timeouts=Timeouts(connect=0.1),
            )
            with pytest.raises(ProviderError) as caught:
                await collect(provider, ask())
    assert caught.value.details["kind"] == "timeout"


async def test_silence_before_the_answer_is_a_timeout_and_tried_again(serve: Serve, dialect: Dialect) -> None:
    watched = Watched(dialect, "before headers")

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(dialect.whole)

    server = await serve(watched, answer)
    provider = open_provider(dialect.endpoint(server.url), retry=AT_ONCE, timeouts=Timeouts(idle=0.1))
    events = await collect(provider, ask())
    assert isinstance(events[0], Retrying)
    assert completed(events).stop_reason == "end_turn"


async def test_a_call_that_goes_on_too_long_ends_with_the_call_limit(serve: Serve, dialect: Dialect) -> None:
    watched = Watched(dialect, "flowing")
    server = await serve(watched)
    provider = open_provider(dialect.endpoint(server.url), retry=AT_ONCE, timeouts=Timeouts(call=0.2))
    with pytest.raises(ProviderError) as caught:
        await collect(provider, ask())
    assert caught.value.details["kind"] == "timeout"
    with trio.fail_after(5):
        await watched.closed.wait()


@pytest.mark.parametrize("body", ["<html>a login page</html>", "{}"])
async def test_an_answer_that_is_no_event_stream_is_malformed(serve: Serve, dialect: Dialect, body: str) -> None:
    async def page(exchange: Exchange) -> None:
        await exchange.refuse(200, body)

    server = await serve(page)
    with pytest.raises(ProviderError) as caught:
        await collect(open_provider(dialect.endpoint(server.url), retry=AT_ONCE), ask())
    assert caught.value.details["kind"] == "malformed"


async def test_a_redirect_is_not_followed_since_it_would_carry_the_key_away(serve: Serve, dialect: Dialect) -> None:
    async def elsewhere(exchange: Exchange) -> None:
        await exchange.refuse(307, "", location="http://127.0.0.1:9/")

    server = await serve(elsewhere)
    with pytest.raises(ProviderError) as caught:
        await collect(open_provider(dialect.endpoint(server.url), retry=AT_ONCE), ask())
    assert (caught.value.details["kind"], caught.value.details["status"]) == ("bad_request", 307)


async def test_a_provider_that_echoes_the_key_does_not_get_it_shown(serve: Serve, dialect: Dialect) -> None:
    async def tell(exchange: Exchange) -> None:
        await exchange.refuse(401, '{"error": {"message": "bad key ' + KEY + "\\u001b[31m" + "x" * 2000 + '"}}')

    server = await serve(tell)
    with pytest.raises(ProviderError) as caught:
        await collect(open_provider(dialect.endpoint(server.url), retry=AT_ONCE), ask())
    assert KEY not in caught.value.message
    assert "bad key ***" in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 700


async def test_the_key_goes_into_a_header_and_into_no_repr(serve: Serve, dialect: Dialect) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(dialect.whole)

    server = await serve(answer)
    provider = open_provider(dialect.endpoint(server.url), retry=AT_ONCE)
    assert KEY not in repr(provider)
    assert KEY not in repr(dialect.endpoint(server.url))
    await collect(provider, ask())
    seen = server.requests[0]
    assert any(KEY in value for value in seen.headers.values())
    assert KEY not in seen.path
    assert KEY.encode() not in seen.body


async def test_a_huge_error_page_is_not_read_to_its_end(serve: Serve) -> None:
    async def pages(exchange: Exchange) -> None:
        await exchange.head(404, content_type="text/html")
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await exchange.chunk(b"<br>" * 4096)

    server = await serve(pages)
    with pytest.raises(ProviderError) as caught:
        await collect(open_provider(ANTHROPIC.endpoint(server.url), retry=AT_ONCE), ask())
    assert caught.value.details["kind"] == "not_found"


async def test_closing_the_provider_ends_its_calls_as_dropped(serve: Serve, dialect: Dialect) -> None:
    watched = Watched(dialect, "in the answer")
    server = await serve(watched)
    provider = open_provider(dialect.endpoint(server.url), retry=AT_ONCE)

    async def close_in_the_middle() -> None:
        async with provider.stream(ask()) as events:
            async for _ in events:
                await provider.aclose()

    with trio.fail_after(10), pytest.raises(ProviderError) as caught:
        await close_in_the_middle()
    assert caught.value.details["kind"] == "dropped"


async def test_cancelling_a_call_over_tls_closes_the_connection(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Path(__file__).with_name("loopback.pem")
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(pair)
    monkeypatch.setattr(http, "tls_context", lambda: ssl.create_default_context(cafile=pair))
    watched = Watched(OPENAI, "in the answer")
    server = ScriptedServer([watched])
    listeners = await nursery.start(trio.serve_ssl_over_tcp, server.serve, 0, ours)
    url = f"https://127.0.0.1:{listeners[0].transport_listener.socket.getsockname()[1]}"
    async with opened(OPENAI, url) as provider:
        with trio.CancelScope() as scope:
            async with provider.stream(ask()) as events:
                async for _ in events:
                    scope.cancel()
        await watched.closed.wait()


async def test_preloading_does_not_need_the_network() -> None:
    with trio.fail_after(20):
        await preload()
