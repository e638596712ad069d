"""MCP over the stdin and stdout of a process: one JSON message a line.

The SDK has such a transport, too. This one differs in what matters to a daemon: the process and all that it starts end
with us, whatever becomes of us; no line can take memory without bound; and what it writes to stderr is kept for the day
on which it fails.
"""

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from ..processes import PIPE, KeptProcess, kept_process
from .spec import ServerSpec

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

log = logging.getLogger(__name__)

# A result with a picture in it; a server that sends more is broken.
MAX_LINE_BYTES = 16 * 1024 * 1024
_CHUNK = 65536
# Of what it says on stderr, the last.
MAX_SAID_BYTES = 4096
# The protocol's way to end a server is the end of its stdin; this long it may take to notice.
CLOSE_SECONDS = 1.0

# What every server gets of the daemon's environment: enough to find programs, a home, a language and a way through a
# proxy, and no secrets.
INHERITED = frozenset(
    (
        "HOME", "LOGNAME", "USER", "PATH", "SHELL", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
        "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
        "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    )
)  # fmt: skip


class Said:
    """The last of what a server wrote to stderr."""

    def __init__(self) -> None:
        self._tail = bytearray()

    def feed(self, data: bytes | bytearray) -> None:
        self._tail += data
        del self._tail[:-MAX_SAID_BYTES]

    def last_line(self) -> str:
        lines = [line.strip() for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""


def environment(spec: ServerSpec, environ: Mapping[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in environ.items() if name in INHERITED}, **spec.env}


@asynccontextmanager
async def stdio_transport(
    spec: ServerSpec, *, folder: str, said: Said, ended: Callable[[], None]
) -> AsyncIterator["tuple[MemoryObjectReceiveStream[Any], MemoryObjectSendStream[Any]]"]:
    """Start the server's process, and pass messages on; when the block is left the process is gone.

    Args:
        ended: called when it closes its stdout.

    Raises:
        OSError: the folder does not exist, or no process can be made.
    """
    import anyio

    assert spec.command is not None
    async with (
        kept_process(
            [spec.command, *spec.args],
            cwd=folder,
            env=environment(spec, os.environ),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        ) as kept,
        trio.open_nursery() as nursery,
    ):
        arrived, incoming = anyio.create_memory_object_stream[Any](0)
        outgoing, to_send = anyio.create_memory_object_stream[Any](0)
        nursery.start_soon(_listen, kept, said)
        nursery.start_soon(_receive, kept, arrived, spec.name, ended)
        nursery.start_soon(_send, kept, to_send)
        try:
            yield incoming, outgoing
        finally:
            with trio.CancelScope(shield=True):
                await _end(kept)
            nursery.cancel_scope.cancel()
            for stream in (incoming, outgoing):
                stream.close()


async def _end(kept: KeptProcess) -> None:
    assert kept.process.stdin is not None
    await kept.process.stdin.aclose()
    with trio.move_on_after(CLOSE_SECONDS):
        await kept.process.wait()


async def _listen(kept: KeptProcess, said: Said) -> None:
    assert kept.process.stderr is not None
    while chunk := await kept.process.stderr.receive_some(_CHUNK):
        said.feed(chunk)


async def _receive(
    kept: KeptProcess, arrived: "MemoryObjectSendStream[Any]", name: str, ended: Callable[[], None]
) -> None:
    """Pass on each line as a message; the end of the stream is the end of the session."""
    async with arrived:
        await _pass_on(kept, arrived, name)
    ended()


async def _pass_on(kept: KeptProcess, arrived: "MemoryObjectSendStream[Any]", name: str) -> None:
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    assert kept.process.stdout is not None
    buffer = bytearray()
    while chunk := await kept.process.stdout.receive_some(_CHUNK):
        buffer += chunk
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            if not line.strip():
                continue
            try:
                message = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
            except ValueError:
                # Programs that print to stdout are common; such a line answers nobody.
                log.debug("the MCP server %s wrote a line that is no message", name)
                continue
            try:
                await arrived.send(message)
            except anyio.BrokenResourceError:
                return
        if len(buffer) > MAX_LINE_BYTES:
            log.warning("the MCP server %s wrote a line of more than %d bytes", name, MAX_LINE_BYTES)
            return


async def _send(kept: KeptProcess, to_send: "MemoryObjectReceiveStream[Any]") -> None:
    assert kept.process.stdin is not None
    async with to_send:
        async for message in to_send:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await kept.process.stdin.send_all(f"{text}\n".encode())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # It reads no more; what it still writes, and its end, are told by the other direction.
                return
