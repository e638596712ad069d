"""A socket between clients and their daemon that can be cut, as a stalled or dropped connection would be."""

import os
import socket
import threading

from meerkat_client.wire.limits import RECEIVE_CHUNK
from meerkat_client.wire.paths import places


class Relay:
    """Listens in a runtime directory of its own and hands on to the daemon's socket. A context manager.

    Attributes:
        runtime_dir: for MEERKAT_RUNTIME_DIR of the clients.
        connections: how many there have been.
    """

    def __init__(self, runtime_dir: str, *, state_root: str, target: str) -> None:
        here = places(state_root, environ={**os.environ, "MEERKAT_RUNTIME_DIR": runtime_dir})
        os.makedirs(here.runtime_dir, 0o700)
        self.runtime_dir = runtime_dir
        self.connections = 0
        self._target = target
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(here.socket_path)
        os.chmod(here.socket_path, 0o600)
        self._listener.listen()

    def __enter__(self) -> "Relay":
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._end_all()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        """Break every connection that there is; new ones are taken as before."""
        assert self.connections, "the clients have found another way"
        self._end_all()

    def _end_all(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for sock in pair:
                _end(sock)

    def _begin(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            daemon.connect(self._target)
            self.connections += 1
            self._pairs.append((client, daemon))
            self._begin(_hand_on, client, daemon)
            self._begin(_hand_on, daemon, client)


def _hand_on(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(RECEIVE_CHUNK):
            sink.sendall(data)
    except OSError:
        # It was cut.
        pass
    finally:
        _end(source)
        _end(sink)


def _end(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other end was faster.
        return
