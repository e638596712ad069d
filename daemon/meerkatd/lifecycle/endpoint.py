"""The listening sockets and their name in the file system: bound so that it always listens, watched, and removed.

Our own socket is bound under a temporary name, made 0600, told to listen, and only then renamed into place. So there is
no moment at which the name exists and refuses, and a stale socket is replaced without an unlink in which someone else
could step. Cleaners of temporary files and a hasty `rm` do happen: every 30 s the name is compared with our socket.

A socket may also be inherited: from the service manager, whose name it is and stays, or from the program that this
process was before a restart.
"""

import os
import socket
from typing import NamedTuple

from meerkat_client.wire.limits import BACKLOG
from meerkat_client.wire.paths import PRIVATE, Places, open_directory, socket_address

CHECK_SECONDS = 30.0

Identity = tuple[int, int]


class Inherited(NamedTuple):
    """Sockets that listen already.

    Attributes:
        identity: device and inode of the name; None when there was none.
        managed: the name is the service manager's, not ours to move or remove.
    """

    sockets: tuple[socket.socket, ...]
    identity: Identity | None
    managed: bool


class Endpoint:
    """Our sockets and their name. To be used only while the instance lock is held."""

    def __init__(self, places: Places, inherited: Inherited | None = None) -> None:
        self._path = places.socket_path
        self._directory_path = places.runtime_dir
        self._aside = f"{self._path}.leaving"
        self._identity: Identity | None = None
        self._managed = False
        # A name of our own in the place of the manager's: without us it would lead nowhere, and nobody would start us.
        self._stands_in = False
        self.sockets: list[socket.socket] = []
        if inherited is not None:
            self.sockets += inherited.sockets
            self._identity, self._managed = inherited.identity, inherited.managed

    def open(self) -> list[socket.socket]:
        """The listening, non-blocking sockets; bound now unless they were inherited.

        Raises:
            PathRefused, OSError: as `bind`.
        """
        if not self.sockets:
            self.bind()
        return list(self.sockets)

    def bind(self) -> socket.socket:
        """A listening, non-blocking socket behind the name; replaces whatever had the name.

        Raises:
            PathRefused: the runtime directory is not ours alone, or the path is too long.
            OSError: from bind or rename.
        """
        directory = open_directory(self._directory_path, refuse=PRIVATE)
        temporary = f".{os.path.basename(self._path)}.{os.getpid()}"
        name = os.path.basename(self._path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _unlink(temporary, directory)
            address = os.path.join(self._directory_path, temporary)
            sock.bind(socket_address(directory, address))
            os.chmod(temporary, 0o600, dir_fd=directory)
            sock.listen(BACKLOG)
            sock.setblocking(False)
            found = os.stat(temporary, dir_fd=directory, follow_symlinks=False)
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            sock.close()
            _unlink(temporary, directory)
            raise
        finally:
            os.close(directory)
        self._identity = (found.st_dev, found.st_ino)
        self._stands_in, self._managed = self._stands_in or self._managed, False
        self.sockets.append(sock)
        return sock

    def is_ours(self) -> bool:
        """Whether the name still leads to a socket of ours."""
        return identity_of(self._path) == self._identity

    @property
    def may_go(self) -> bool:
        """Whether somebody would start the daemon again when a client comes: the manager, or the client itself."""
        return not self._stands_in

    def set_aside(self) -> None:
        """Take the name away for a while, so that nobody new can connect; `put_back` undoes it.

        The manager's name stays: who connects then waits for the next daemon.
        """
        if not self._managed and self.is_ours():
            os.rename(self._path, self._aside)

    def put_back(self) -> None:
        if not self._managed and identity_of(self._aside) == self._identity:
            os.rename(self._aside, self._path)

    def remove(self) -> None:
        """Take the name away, if it is ours: new clients then start a new daemon."""
        if self._managed or self._identity is None:
            return
        for path in (self._path, self._aside):
            if identity_of(path) == self._identity:
                os.unlink(path)
        self._identity = None

    def close(self) -> None:
        """Remove the name and stop listening; whoever waits to be accepted is refused."""
        self.remove()
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()

    def hand_over(self) -> Inherited:
        """What the next program of this process needs, in order to go on listening."""
        return Inherited(tuple(self.sockets), self._identity, self._managed)


def identity_of(path: str) -> Identity | None:
    """Device and inode of a name, not following links; None when there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _unlink(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
