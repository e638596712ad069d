"""The driver: one provider over HTTP, whatever its wire format.

It owns what all formats share: the connections, the stream of server-sent events, retries, timeouts and the mapping of
every failure to one `ProviderError`. The formats are pure and live beside it.

Prior art: the retry rules are those of the official SDKs of OpenAI and Anthropic (408, 409, 429, 5xx, connection
errors; `retry-after` and `x-should-retry` are obeyed). Unlike them we also try again when a stream breaks before
anything was shown, and never accept a stream that ends without a finish reason: both SDKs take it for a full answer.

Closing: `async for` over a library's nested generators leaves the inner ones to the garbage collector when the
consumer stops between two events. So a call closes its response first, which closes the connection, and then runs the
generator to its end, where every layer sees the closed stream and finishes in order.

httpx2 is imported on first use: it costs 0.1-0.2 s and 15 MiB, which a daemon that runs no turn should not pay.
"""

import contextlib
import functools
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import trio

from ...errors import ProviderError
from ..models import Endpoint
from ..port import Completed, ModelEvent, ModelRequest, ProviderKind, Retrying
from .fault import HINTS, Fault, clean, status_fault
from .retry import RetryPolicy, Timeouts, retry_after_seconds
from .wire import AnswerParser, HttpCall, WireFormat

if TYPE_CHECKING:
    import httpx2

# An error's body is read only for its message.
MAX_ERROR_BODY = 64 * 1024

# Closing sends at most one TLS record and waits for nobody; more than this is a stuck socket.
CLOSE_SECONDS = 2.0

# After the last event only the end of the body is missing; waiting for it lets the connection be used again.
DRAIN_SECONDS = 0.25

# Idle connections are kept through the pauses between a turn's calls, and not much longer.
KEEPALIVE_SECONDS = 60.0
KEEPALIVE_CONNECTIONS = 20


class HttpProvider:
    """A `Provider` over HTTP.

    Args:
        endpoint: where to call, with which key, and under which names errors speak of it.
        wire: the format spoken there.
        retry, timeouts: the rules for failed and slow calls.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        wire: WireFormat,
        *,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.wire = wire
        self.retry = retry or RetryPolicy()
        self.timeouts = timeouts or Timeouts()
        self.client = new_client(endpoint.base_url, self.timeouts)

    def __repr__(self) -> str:
        return f"<HttpProvider {self.endpoint.full_name} at {self.endpoint.base_url}>"

    @property
    def kind(self) -> ProviderKind:
        return self.endpoint.kind

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Call the model; see `Provider.stream`."""
        return _Call(self, self.wire.build(request, api_key=self.endpoint.api_key), request.model)

    async def aclose(self) -> None:
        """Close all connections. Calls that still run fail with kind "dropped"."""
        await self.client.aclose()


def new_client(base_url: str, timeouts: Timeouts) -> "httpx2.AsyncClient":
    import httpx2

    loopback = httpx2.URL(base_url).host in ("127.0.0.1", "::1", "localhost")
    return httpx2.AsyncClient(
        # Loading the certificates takes 0.1 s, which plain HTTP has no use for: redirects are not followed.
        verify=tls_context() if base_url.startswith("https:") else False,
        timeout=httpx2.Timeout(timeouts.idle, connect=timeouts.connect, write=timeouts.write, pool=timeouts.connect),
        limits=httpx2.Limits(
            max_connections=None,
            max_keepalive_connections=KEEPALIVE_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
        follow_redirects=False,
        # A proxy for the outside world must not see calls to this machine.
        trust_env=not loopback,
        headers={"user-agent": "meerkatd", "accept": "text/event-stream"},
    )


@functools.lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The one TLS context of the process: building it reads all certificates, which takes 0.1 s."""
    import httpx2

    return httpx2.create_ssl_context()


class _Attempt:
    """One request and its answer, as far as it has come."""

    def __init__(self, parser: AnswerParser, *, deadline: float) -> None:
        self.parser = parser
        self.deadline = deadline
        self.response: httpx2.Response | None = None
        self.events: AsyncIterator[httpx2.ServerSentEvent] | None = None
        self.error_body: AsyncIterator[bytes] | None = None

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end; then let every generator finish."""
        if self.response is None:
            return
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await self.response.aclose()
            if self.events is not None:
                await _run_out(self.events)
            if self.error_body is not None:
                await _run_out(self.error_body)


async def _run_out(iterator: AsyncIterator[object]) -> None:
    """Read `iterator` to its end. Its connection is closed, so what it raises is how it learns of that."""
    import httpx2

    with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
        async for _ in iterator:
            pass


class _Call:
    """One call of a model, over as many attempts as it takes. Context manager and iterator in one."""

    def __init__(self, provider: HttpProvider, call: HttpCall, model: str) -> None:
        self._provider = provider
        self._call = call
        self._model = model
        self._number = 1
        self._not_before = -float("inf")
        self._attempt: _Attempt | None = None
        self._ready: deque[ModelEvent] = deque()
        self._shown = False
        self._over = False

    async def __aenter__(self) -> "_Call":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        await self._close_attempt()

    def __aiter__(self) -> "_Call":
        return self

    async def __anext__(self) -> ModelEvent:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            await self._advance()
        event = self._ready.popleft()
        self._shown = self._shown or not isinstance(event, Retrying)
        return event

    async def _advance(self) -> None:
        """Take one step: open an attempt, or read one event of it."""
        import httpx2

        try:
            if self._attempt is None:
                await trio.sleep_until(self._not_before)
                self._attempt = self._new_attempt()
            with trio.fail_at(self._attempt.deadline):
                if self._attempt.events is None:
                    await self._open(self._attempt)
                else:
                    await self._read(self._attempt)
        except (Fault, trio.TooSlowError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            fault = self._fault_of(error)
            await self._close_attempt()
            self._failed(fault)

    def _new_attempt(self) -> _Attempt:
        limit = self._provider.timeouts.call
        deadline = float("inf") if limit is None else trio.current_time() + limit
        return _Attempt(self._provider.wire.parser(), deadline=deadline)

    async def _open(self, attempt: _Attempt) -> None:
        """Send the request and look at the answer's status."""
        import httpx2

        client, endpoint = self._provider.client, self._provider.endpoint
        request = client.build_request(
            "POST",
            endpoint.base_url.rstrip("/") + self._call.path,
            content=self._call.body,
            headers={"content-type": "application/json", **self._call.headers},
        )
        attempt.response = response = await client.send(request, stream=True)
        if not response.is_success:
            raise status_fault(
                response.status_code,
                await _error_text(attempt, response),
                headers=response.headers,
                retry_after=retry_after_seconds(response.headers, now=time.time()),
                secret=endpoint.api_key,
            )
        attempt.events = aiter(httpx2.EventSource(response))

    async def _read(self, attempt: _Attempt) -> None:
        """Take one event of the answer, or its end."""
        assert attempt.events is not None
        event = await anext(attempt.events, None)
        if event is not None:
            # A keep-alive may come as an event without data.
            if event.data:
                self._ready.extend(attempt.parser.feed(event.data))
            if not attempt.parser.done:
                return
        completed: Completed = attempt.parser.close()
        if event is not None:
            # The answer is whole, so however the rest of the body ends, it does not matter any more.
            with trio.move_on_after(DRAIN_SECONDS):
                await _run_out(attempt.events)
        self._ready.append(completed)
        self._over = True
        await self._close_attempt()

    async def _close_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await attempt.aclose()

    def _fault_of(self, error: Exception) -> Fault:
        """Every way in which an attempt can fail, in the words of the port."""
        import httpx2

        if isinstance(error, Fault):
            return error
        begun = self._attempt is not None and self._attempt.events is not None
        said = clean(str(error), secret=self._provider.endpoint.api_key)
        if isinstance(error, trio.TooSlowError):
            return Fault("timeout", f"The call took longer than {self._provider.timeouts.call:g} s.")
        if isinstance(error, httpx2.ReadTimeout):
            silence = f"The provider sent nothing for {self._provider.timeouts.idle:g} s."
            return Fault("idle_timeout" if begun else "timeout", silence)
        if isinstance(error, httpx2.TimeoutException):
            return Fault("timeout", "The provider could not be reached in time.")
        if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError)):
            return Fault("connect", f"The provider cannot be reached: {said}")
        if isinstance(error, (httpx2.NetworkError, httpx2.RemoteProtocolError)):
            return Fault("dropped", "The connection to the provider broke off.")
        if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
            return Fault("bad_request", f"The base URL cannot be used: {said}")
        return Fault("malformed", f"The provider's answer cannot be read: {said}")

    def _failed(self, fault: Fault) -> None:
        """Plan another attempt, or give up.

        Raises:
            ProviderError: when trying again is of no use, or not allowed because something was shown.
        """
        policy = self._provider.retry
        delay = policy.delay(self._number, retry_after=fault.retry_after)
        if self._shown or not fault.retryable or delay is None:
            raise self._error(fault)
        self._ready.append(
            Retrying(
                attempt=self._number,
                max_attempts=1 + policy.max_retries,
                error=fault.message,
                delay_ms=round(delay * 1000),
            )
        )
        self._number += 1
        self._not_before = trio.current_time() + delay

    def _error(self, fault: Fault) -> ProviderError:
        self._over = True
        details: dict[str, Any] = {
            "provider": self._provider.endpoint.provider,
            "model": self._model,
            "kind": fault.kind,
            "attempts": self._number,
        }
        if fault.status is not None:
            details["status"] = fault.status
        if fault.retry_after is not None:
            details["retry_after_s"] = fault.retry_after
        return ProviderError(
            f"{self._provider.endpoint.full_name}: {fault.message}", details=details, hint=HINTS[fault.kind]
        )


async def _error_text(attempt: _Attempt, response: "httpx2.Response") -> bytes:
    """The beginning of an error's body."""
    attempt.error_body = response.aiter_bytes()
    body = b""
    async for chunk in attempt.error_body:
        body += chunk
        if len(body) >= MAX_ERROR_BODY:
            break
    return body[:MAX_ERROR_BODY]
