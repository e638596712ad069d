"""The daemon's end of a connection, under a script's control."""

import socket
from typing import Any

from meerkat_client.wire.framing import FrameReader, decode, encode_frame
from meerkat_client.wire.limits import MAX_REPLY_FRAME, MAX_REQUEST_FRAME


class ScriptedDaemon:
    """Blocking; every wait is bounded."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(10)
        self.sock = sock
        self._reader = FrameReader(MAX_REQUEST_FRAME)

    def receive(self) -> Any:
        """The next message of the client; None when it has left."""
        while (body := self._reader.next()) is None:
            data = self.sock.recv(65536)
            if not data:
                return None
            self._reader.feed(data)
        return decode(body)

    def send(self, message: dict[str, Any]) -> None:
        self.sock.sendall(encode_frame({"jsonrpc": "2.0", **message}, MAX_REPLY_FRAME))

    def answer(self, result: Any) -> Any:
        """Answer the next request; returns the request."""
        request = self.receive()
        self.send({"id": request["id"], "result": result})
        return request

    def notify(self, method: str, **params: Any) -> None:
        self.send({"method": method, "params": params})
