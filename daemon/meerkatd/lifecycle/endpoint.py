"""The socket's name in the file system: bound so that it always listens, watched, and removed at the end.

The socket is bound under a temporary name, made 0600, told to listen, and only then renamed into place. So there is no
moment at which the name exists and refuses, and a stale socket is replaced without an unlink in which someone else
could step. Cleaners of temporary files and a hasty `rm` do happen: every 30 s the name is compared with our socket.

This is the only maker of listening sockets, and what accepts takes sockets as arguments: a socket that the service
manager hands over fits the same seam.
"""

import os
import socket

from meerkat_client.wire.limits import BACKLOG
from meerkat_client.wire.paths import PRIVATE, Places, open_directory, socket_address

CHECK_SECONDS = 30.0


class Endpoint:
    """Our socket's name. To be used only while the instance lock is held."""

    def __init__(self, places: Places) -> None:
        self._path = places.socket_path
        self._directory_path = places.runtime_dir
        self._identity: tuple[int, int] | None = None

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
        return sock

    def is_ours(self) -> bool:
        """Whether the name still leads to the socket that was bound last."""
        try:
            found = os.lstat(self._path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def remove(self) -> None:
        """Take the name away, if it is still ours: new clients then start a new daemon."""
        if self.is_ours():
            os.unlink(self._path)
        self._identity = None


def _unlink(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
