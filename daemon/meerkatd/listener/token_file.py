"""The file that has a door's token: in the runtime directory, readable by this user only, gone with the door.

It is made under a temporary name and renamed, so that whoever finds it finds all of it, and never through a symlink
that somebody else could have put there.
"""

import contextlib
import os

from meerkat_client.wire.paths import PRIVATE, open_directory

_PREFIX = "live-ws-"
_SUFFIX = ".token"


class TokenFile:
    """One token and its file, written at once.

    Attributes:
        text: the token.
        path: of the file.

    Raises:
        PathRefused: the runtime directory is not ours alone.
        OSError: it cannot be written.
    """

    def __init__(self, directory: str, port: int, text: str) -> None:
        self.text = text
        self._directory = directory
        self._name = f"{_PREFIX}{port}{_SUFFIX}"
        self.path = f"{directory}/{self._name}"
        folder = open_directory(directory, refuse=PRIVATE)
        try:
            _write(folder, self._name, text)
        finally:
            os.close(folder)

    def __repr__(self) -> str:
        return f"<TokenFile {self.path}>"

    def remove(self) -> None:
        """Take it away. Whether somebody else did so already is of no account."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    @staticmethod
    def remove_all(directory: str) -> None:
        """Take away what a daemon that was killed has left."""
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if name.startswith(_PREFIX) and name.endswith(_SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{directory}/{name}")


def _write(folder: int, name: str, text: str) -> None:
    temporary = f".{name}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with os.fdopen(made, "w", encoding="ascii") as file:
        file.write(f"{text}\n")
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
