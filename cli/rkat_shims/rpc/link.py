"""The connection to the daemon: opened with everything that the daemon has to know, then frames out and messages in.

Opening blocks; afterwards the socket is non-blocking and the loop says when to send and to receive.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from meerkat_client import _dial
from meerkat_client.errors import RkatError, from_error_object, from_wire, makes_way
from meerkat_client.wire.credentials import from_environment
from meerkat_client.wire.faults import MalformedFrame, WireError
from meerkat_client.wire.framing import FrameReader, Oversized, decode, encode_frame
from meerkat_client.wire.limits import MAX_REPLY_FRAME, MAX_REQUEST_FRAME, RECEIVE_CHUNK
from meerkat_client.wire.version import PROTOCOL_MAX, PROTOCOL_MIN, VERSION

from .options import Options

NAME = "rkat-rpc"
# A daemon may leave between accepting us and answering; each time a new one is started.
_ATTEMPTS = 5


class Lost(Exception):
    """The connection is gone, or what came over it made no sense; the text says how."""


class Link:
    """One connection, initialized.

    Attributes:
        info: the result of `initialize`.
        door: the result of `daemon/listen`, when the command line asks for a door.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.info: dict[str, Any] = {}
        self.door: dict[str, Any] | None = None
        self._sock = sock
        self._reader = FrameReader(MAX_REPLY_FRAME)
        self._unsent = bytearray()
        self._early: list[dict[str, Any]] = []
        self._asked = 0

    @classmethod
    def open(
        cls, options: Options, environ: Mapping[str, str], *, realm: str | None, tools: Sequence[dict[str, Any]]
    ) -> "Link":
        """Connect, start a daemon if need be, initialize, and offer `tools` again.

        Args:
            realm: the realm of an earlier connection, which this one is to have too.

        Raises:
            RkatError: what dialling or the daemon said.
        """
        params = _initialize_params(options, environ, realm)
        until = time.monotonic() + _dial.DEFAULT_DEADLINE_SECONDS
        reason = ""
        attempts = 0
        while attempts < _ATTEMPTS:
            attempts += 1
            left = max(1.0, until - time.monotonic())
            link = cls(_dial.connect(state_root=options.state_root, deadline=left))
            try:
                link.info = link._ask("initialize", params, timeout=left)
                if tools:
                    link._ask("tools/register", {"tools": list(tools)}, timeout=left)
                if options.live_ws is not None:
                    where = {"address": options.live_ws, "origins": list(options.live_ws_origins)}
                    link.door = link._ask("daemon/listen", where, timeout=left)
                link._sock.setblocking(False)
                return link
            except Lost as lost:
                reason = str(lost)
                link.close()
            except RkatError as error:
                link.close()
                if not makes_way(error) or time.monotonic() >= until:
                    raise
                attempts -= 1
                time.sleep(_dial.UPGRADE_LOOK_SECONDS)
            except BaseException:
                link.close()
                raise
        raise RkatError("DAEMON_UNAVAILABLE", reason)

    def __repr__(self) -> str:
        return f"<Link realm={self.info.get('realm_id')} unsent={len(self._unsent)}>"

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket."""
        return len(self._unsent)

    def take_early(self) -> list[dict[str, Any]]:
        """Messages that came while the connection was being opened, such as a call of a tool that was just offered."""
        early, self._early = self._early, []
        return early

    def close(self) -> None:
        self._sock.close()

    def send(self, frame: bytes) -> None:
        """Send now what the socket takes, the rest with `flush`."""
        self._unsent += frame
        self.flush()

    def flush(self) -> None:
        while self._unsent:
            try:
                count = self._sock.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # The daemon may have said why before it closed: what it sent is still to be read.
                self._unsent.clear()
                return
            del self._unsent[:count]

    def receive(self) -> list[dict[str, Any]]:
        """Messages that have arrived, in order.

        Raises:
            Lost: there will be no more.
        """
        try:
            data = self._sock.recv(RECEIVE_CHUNK)
        except (BlockingIOError, InterruptedError):
            return []
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost(f"The connection to the daemon broke: {error}.") from error
        if not data:
            raise Lost("The daemon closed the connection.")
        return self._messages(data)

    def _messages(self, data: bytes) -> list[dict[str, Any]]:
        self._reader.feed(data)
        messages = []
        while (body := self._reader.next()) is not None:
            if isinstance(body, Oversized):
                raise Lost(f"The daemon announced a frame of {body.length} bytes.")
            try:
                message = decode(body, trusted=True)
            except MalformedFrame as error:
                raise Lost(f"The daemon sent a broken frame: {error.message}") from error
            if not isinstance(message, dict):
                raise Lost("The daemon sent something that is no message.")
            messages.append(message)
        return messages

    def _ask(self, method: str, params: Mapping[str, Any], *, timeout: float) -> Any:
        """Ask and wait, before anything of the client's is in flight."""
        self._asked += 1
        call_id = f"{NAME}-{self._asked}"
        request = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": dict(params)}
        try:
            frame = encode_frame(request, MAX_REQUEST_FRAME)
        except WireError as error:
            raise from_wire(error) from error
        self._sock.settimeout(timeout)
        try:
            self._sock.sendall(frame)
            reply = None
            while reply is None:
                for message in self.receive():
                    if "method" not in message and message.get("id") in (call_id, None):
                        reply = message
                    else:
                        self._early.append(message)
        except TimeoutError as error:
            raise RkatError("DAEMON_UNAVAILABLE", f"The daemon did not answer {method} in time.") from error
        except OSError as error:
            raise Lost(f"The connection to the daemon broke: {error}.") from error
        if "error" in reply:
            raise from_error_object(reply["error"])
        return reply["result"]


def _initialize_params(options: Options, environ: Mapping[str, str], realm: str | None) -> dict[str, Any]:
    params: dict[str, Any] = {
        "client": {"name": NAME, "version": VERSION, "surface": "rpc", "pid": os.getpid()},
        "protocol": {"min": PROTOCOL_MIN, "max": PROTOCOL_MAX},
        "contract_version": options.contract_version,
    }
    realm = realm or options.realm
    choices = {
        "realm_id": realm,
        "isolated": (options.isolated and realm is None) or None,
        "instance_id": options.instance,
        "backend": options.backend,
        "credentials": from_environment(environ) or None,
    }
    params.update((name, value) for name, value in choices.items() if value is not None)
    return params
