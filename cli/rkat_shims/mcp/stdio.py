"""Bytes of two descriptors <-> messages of MCP: one JSON object a line.

Not the SDK's own way over stdin: that reads in a thread, which cannot be made to stop, keeps a line of any length, and
says nothing to one that makes no sense. Here lines have a bound, JSON is as strict as at the daemon's other doors, each
line that is no message is answered, and nothing waits for a thread.

Descriptors stay in the mode in which they came: whoever shares stdout with us would otherwise find it non-blocking. A
pipe that is writable takes PIPE_BUF bytes at once (POSIX), so that much is written.
"""

import os
import select
from typing import Any, Final

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from meerkat_client.errors import RkatError
from meerkat_client.wire.codes import row
from meerkat_client.wire.faults import MalformedFrame
from meerkat_client.wire.json_text import decode_json
from meerkat_client.wire.limits import MAX_REQUEST_FRAME, RECEIVE_CHUNK

from ..rpc.lines import LineReader, LongLine, id_in_head, id_of_refused, usable_id
from .answers import error_fields
from .flights import Flights

# What a writable pipe takes without blocking. POSIX guarantees 512; Linux and macOS say what they do.
_WRITE_BYTES: Final = getattr(select, "PIPE_BUF", 512)

Incoming = MemoryObjectSendStream[SessionMessage | Exception]
Outgoing = MemoryObjectReceiveStream[SessionMessage]


class Deaf(Exception):
    """Nobody reads what we write."""


class Stdio:
    """Both directions of one client.

    Args:
        stdin, stdout: descriptors; not closed here.
        flights: is told of requests and of their answers.
    """

    def __init__(self, stdin: int, stdout: int, flights: Flights) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._flights = flights
        self._writing = anyio.Lock()

    async def read(self, into: Incoming) -> None:
        """Pass messages on until the client has no more, or sends what cannot be cut into lines.

        Raises:
            Deaf: a refusal could not be written.
        """
        lines = LineReader()
        while not lines.dead:
            await _until(anyio.wait_readable, self._stdin)
            try:
                data = os.read(self._stdin, RECEIVE_CHUNK)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                # A terminal that is gone says EIO, a descriptor that was never open EBADF: the end, as any other.
                data = b""
            lines.feed(data)
            while (line := lines.next() if data else lines.finish()) is not None:
                await self._take(line, into)
            if not data:
                return

    async def write(self, messages: Outgoing) -> None:
        """Write messages until there are no more.

        Raises:
            Deaf: nobody reads them.
        """
        async for each in messages:
            message = each.message
            await self._send(message)
            if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
                self._flights.end(message.id)

    async def _take(self, line: bytes | LongLine, into: Incoming) -> None:
        if isinstance(line, LongLine):
            size = f"A message may have {MAX_REQUEST_FRAME} bytes; this line is longer."
            await self._refuse(id_in_head(line.head), "REQUEST_TOO_LARGE", size)
            return
        if not line.strip():
            return
        try:
            value = decode_json(line)
        except MalformedFrame as error:
            await self._refuse(id_of_refused(line), "PARSE_ERROR", error.message)
            return
        try:
            message = jsonrpc_message_adapter.validate_python(value, by_name=False)
        except ValidationError:
            known = usable_id(value.get("id")) if isinstance(value, dict) else None
            await self._refuse(known, "INVALID_REQUEST", "This is no message of JSON-RPC 2.0.")
            return
        if isinstance(message, JSONRPCRequest):
            self._flights.begin(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._taken_back(message.params or {})
        await into.send(SessionMessage(message))

    def _taken_back(self, params: dict[str, Any]) -> None:
        # It is never answered.
        request_id = usable_id(params.get("requestId"))
        if request_id is not None:
            self._flights.end(request_id)

    async def _refuse(self, request_id: str | int | None, code: str, message: str) -> None:
        data = error_fields(RkatError(code, message))
        error = ErrorData(code=row(code).rpc, message=message, data=data)
        await self._send(JSONRPCError(jsonrpc="2.0", id=request_id, error=error))

    async def _send(self, message: JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError) -> None:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
        async with self._writing:
            left = memoryview(f"{text}\n".encode())
            while left:
                await _until(anyio.wait_writable, self._stdout)
                try:
                    left = left[os.write(self._stdout, left[:_WRITE_BYTES]) :]
                except (BlockingIOError, InterruptedError):
                    continue
                except OSError as error:
                    raise Deaf from error


async def _until(ready: Any, descriptor: int) -> None:
    """Wait until a descriptor is `ready`; a file always is, and cannot be waited for."""
    await anyio.lowlevel.checkpoint()
    try:
        await ready(descriptor)
    except OSError:
        # A file (EPERM), or no descriptor at all (EBADF), which reading or writing tells.
        return
