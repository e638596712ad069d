"""Local models: an owner of llama.cpp server processes, and a provider that uses them like any other server.

A model is started by its first call and by one caller at a time; whoever is cancelled while it loads takes the
half-started process down, and the next one starts it again. It ends when nobody has used it for a while (the process
itself keeps that clock, see `local_server`), when the owner closes, and when the daemon dies in whatever way.

The process speaks OpenAI's chat completions on loopback, behind a key made for it, since other users of the machine can
reach a loopback port.
"""

import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import IO

import trio

from meerkat_client import model_files

from ..errors import CapabilityUnavailable, MeerkatError
from .models import Endpoint
from .port import ModelEvent, ModelRequest, Provider, ProviderKind
from .providers.retry import RetryPolicy, Timeouts

# A big model on a slow disk takes this long; a hung one must not hang the turn for ever.
START_SECONDS = 120.0
# A server that was told to end needs no more.
STOP_SECONDS = 2.0
# Long enough for the pauses of a conversation; after it, the memory is worth more than the second of loading.
IDLE_SECONDS = 600.0
# Enough for a session with tools; a model that was trained for less gets less.
CONTEXT_WINDOW = 8192
MAX_THREADS = 8

_GGUF_MAGIC = b"GGUF"
_INSTALL = "Install it with `pip install 'meerkatd[local]'` into the environment of the daemon, then restart it."


@dataclass(frozen=True, slots=True)
class _Address:
    url: str
    api_key: str


class LocalModels:
    """Owns the server processes of all local models; `aclose` it when the daemon ends."""

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS, start_seconds: float = START_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._start_seconds = start_seconds
        self._servers: dict[str, _Server] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<LocalModels {len(self._servers)} known, {len(self.processes())} running>"

    def processes(self) -> list[trio.Process]:
        """The server processes that run now."""
        return [process for server in self._servers.values() if (process := server.running()) is not None]

    def provider(
        self, endpoint: Endpoint, *, retry: RetryPolicy | None = None, timeouts: Timeouts | None = None
    ) -> Provider:
        """The provider of a local endpoint. Starts nothing yet."""
        return _LocalProvider(self, endpoint, retry, timeouts)

    @asynccontextmanager
    async def use(self, endpoint: Endpoint) -> AsyncIterator[_Address]:
        """Keep the model's server running for the length of the block.

        Raises:
            CapabilityUnavailable: the runtime is not installed, or it cannot load the file.
        """
        if self._closed:
            raise CapabilityUnavailable("The local models are closed.")
        server = self._servers.setdefault(endpoint.base_url, _Server(endpoint))
        address = await server.acquire(idle_seconds=self._idle_seconds, start_seconds=self._start_seconds)
        try:
            yield address
        finally:
            await server.release(address)

    async def aclose(self) -> None:
        """End all servers; calls that still run fail. Bounded by STOP_SECONDS for each, and shielded."""
        self._closed = True
        with trio.CancelScope(shield=True):
            for server in self._servers.values():
                await server.stop()


class _Server:
    """One model's process, over as many lives as it takes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._starting = trio.Lock()
        self._sending = trio.Lock()
        self._process: trio.Process | None = None
        self._lines: _LineReader | None = None
        self._address = _Address("", "")

    def running(self) -> trio.Process | None:
        return self._process if self._process is not None and self._process.poll() is None else None

    async def acquire(self, *, idle_seconds: float, start_seconds: float) -> _Address:
        """Begin a use: start the process unless it runs."""
        async with self._starting:
            if self._process is not None and await self._announce():
                return self._address
            await self.stop()
            await self._start(idle_seconds, start_seconds)
            if not await self._announce():
                raise _failed(self._endpoint, "it ended at once")
            return self._address

    async def release(self, address: _Address) -> None:
        """End a use of the life that has this address; a later life does not know of it.

        Shielded: a use that is never ended would keep the process for ever.
        """
        if address is self._address:
            with trio.CancelScope(shield=True):
                await self._send(b"-\n")

    async def _announce(self) -> bool:
        """Tell the process of a use; False when it is gone, also when it was just about to go."""
        with trio.CancelScope(shield=True), trio.move_on_after(STOP_SECONDS):
            return await self._send(b"+\n") and await self._line() == "ok"
        return False

    async def _send(self, line: bytes) -> bool:
        if self._process is None or self._process.stdin is None:
            return False
        try:
            async with self._sending:
                await self._process.stdin.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def _line(self) -> str | None:
        return None if self._lines is None else await self._lines.next_line()

    async def _start(self, idle_seconds: float, start_seconds: float) -> None:
        _check(self._endpoint)
        api_key = secrets.token_urlsafe(32)
        order = {
            "path": self._endpoint.base_url,
            "alias": self._endpoint.model,
            "api_key": api_key,
            "context_window": CONTEXT_WINDOW,
            "threads": min(os.cpu_count() or 1, MAX_THREADS),
            "idle_seconds": idle_seconds,
        }
        with tempfile.TemporaryFile() as log:
            try:
                with trio.move_on_after(start_seconds) as scope:
                    await self._spawn(log)
                    await self._send(json.dumps(order).encode() + b"\n")
                    answer = json.loads(await self._line() or "{}")
                if scope.cancelled_caught:
                    raise _failed(self._endpoint, f"it took longer than {start_seconds:g} s")
                if "url" not in answer:
                    raise _failed(self._endpoint, _reason(log, answer.get("error")))
            except BaseException:
                # While it loads, it listens to nobody.
                await self.stop(grace=0.0)
                raise
        self._address = _Address(answer["url"], api_key)

    async def _spawn(self, log: IO[bytes]) -> None:
        self._process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "meerkatd.agent.local_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # A Ctrl-C at the terminal is for the program in front, not for us.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._lines = _LineReader(self._process.stdout)

    async def stop(self, *, grace: float = STOP_SECONDS) -> None:
        """End the process and wait for it. Shielded, for at most `grace` seconds and then by force."""
        process, self._process, self._lines = self._process, None, None
        if process is None:
            return
        with trio.CancelScope(shield=True):
            if process.stdin is not None:
                await process.stdin.aclose()
            with trio.move_on_after(grace):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


class _LineReader:
    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def next_line(self) -> str | None:
        """The next line; None at the end."""
        while b"\n" not in self._buffer:
            try:
                chunk = await self._stream.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


def _check(endpoint: Endpoint) -> None:
    """What can be told clearly before a process is started."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise CapabilityUnavailable(
            "Local models need the extra `local`, which is not installed.", hint=_INSTALL, details={"extra": "local"}
        )
    try:
        with open(endpoint.base_url, "rb") as handle:
            magic = handle.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise _failed(endpoint, f"{endpoint.base_url}: {error.strerror}") from error
    if magic != _GGUF_MAGIC:
        raise _failed(endpoint, f"{endpoint.base_url} is not a GGUF file")


def _reason(log: IO[bytes], error: str | None) -> str:
    """The last thing that the process said, which is often more telling than the error."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return "; ".join([*lines[-1:], *([error] if error else [])])[:300] or "the process ended without a word"


def _failed(endpoint: Endpoint, reason: str) -> MeerkatError:
    known = endpoint.full_name.partition("/")[2]
    fetch = f" or fetch it again with `rkat models pull {known}`" if known in model_files.KNOWN else ""
    return CapabilityUnavailable(
        f"The local model {endpoint.full_name} could not be started: {reason}.",
        details={"model": endpoint.model, "path": endpoint.base_url},
        hint=f"Check the file{fetch}, or choose another --model.",
    )


class _LocalProvider:
    """A `Provider` that has its server started when it is called."""

    def __init__(
        self, owner: LocalModels, endpoint: Endpoint, retry: RetryPolicy | None, timeouts: Timeouts | None
    ) -> None:
        self._owner = owner
        self._endpoint = endpoint
        self._retry = retry
        self._timeouts = timeouts
        self._inner: Provider | None = None
        self._inner_address: _Address | None = None

    @property
    def kind(self) -> ProviderKind:
        return "local"

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: ModelRequest) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        async with self._owner.use(self._endpoint) as address:
            inner = await self._connected(address)
            async with inner.stream(request) as events:
                yield events

    async def _connected(self, address: _Address) -> Provider:
        """The HTTP provider for this life of the server."""
        from .providers.http import HttpProvider
        from .providers.openai_chat import OpenAIChat

        if self._inner is None or self._inner_address != address:
            await self.aclose()
            endpoint = replace(self._endpoint, base_url=f"{address.url}/v1", api_key=address.api_key)
            self._inner = HttpProvider(endpoint, OpenAIChat(), retry=self._retry, timeouts=self._timeouts)
            self._inner_address = address
        return self._inner

    async def aclose(self) -> None:
        """Close the connections; the server's life is its owner's affair."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()
