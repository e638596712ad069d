"""The secret that every request must carry: 256 bits in a file that only its owner can read.

Without --token-file a token lives as long as the process, in a folder beside the daemon's socket. A second file has it
as the header line that `curl -H @FILE` reads, so that nobody needs to put it into a command line, where every user of
the machine would see it.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from meerkat_client.errors import RkatError, from_wire
from meerkat_client.wire.faults import WireError
from meerkat_client.wire.paths import PRIVATE, open_directory, places

_TOKEN_BYTES = 32
# RFC 6750's characters; 32 of them cannot be guessed if they are random.
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]{32,512}=*")
_MAX_FILE_BYTES = 4096
_FOLDER = "rest"


class Token(NamedTuple):
    """A token and where it is.

    Attributes:
        value: the secret; of ASCII characters.
        path: its file.
        header_path: the file with the whole header line.
    """

    value: bytes
    path: str
    header_path: str

    def __repr__(self) -> str:
        return f"<Token in {self.path}>"


@contextmanager
def token_in(file: str | None, *, state_root: str | None, address: str) -> Iterator[Token]:
    """The token for as long as the block runs.

    Args:
        file: of --token-file; one that exists is used as it is. It and the header beside it are kept.
        address: host and port, to name the files of a token of our own, which go with the block.

    Raises:
        RkatError: the file or its folder belongs to somebody else, is open to others, or cannot be read or made.
    """
    made: list[str] = []
    try:
        if file is not None:
            yield _kept(os.path.abspath(file))
            return
        folder = f"{places(state_root).runtime_dir}/{_FOLDER}"
        os.close(open_directory(folder, refuse=PRIVATE))
        path = f"{folder}/{re.sub(r'[^0-9a-z.]', '-', address)}.token"
        made += [path, f"{path}.header"]
        # Left by a process that could not remove it: the address is ours now.
        _remove(path)
        yield _kept(path)
    except WireError as error:
        raise from_wire(error) from error
    except OSError as error:
        raise _refused(str(error.filename or file), f"cannot be used: {error.strerror}") from error
    finally:
        for each in made:
            _remove(each)


def _kept(path: str) -> Token:
    try:
        value = _read(path)
    except FileNotFoundError:
        value = secrets.token_urlsafe(_TOKEN_BYTES).encode()
        _write(path, value)
    header_path = f"{path}.header"
    _remove(header_path)
    _write(header_path, b"Authorization: Bearer " + value)
    return Token(value, path, header_path)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise _refused(path, "is not a file of yours")
        if found.st_mode & PRIVATE:
            raise _refused(path, f"has mode {stat.S_IMODE(found.st_mode):04o} and is open to other users")
        text = os.read(descriptor, _MAX_FILE_BYTES + 1).strip()
    finally:
        os.close(descriptor)
    if not _TOKEN.fullmatch(text):
        raise _refused(path, "does not hold one token of 32 to 512 characters out of A-Z a-z 0-9 . _ ~ + / -")
    return text


def _write(path: str, text: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(text + b"\n")


def _refused(path: str, what: str) -> RkatError:
    return RkatError(
        "PERMISSION_DENIED",
        f"{path} {what}.",
        hint="Give --token-file a file of yours with mode 0600, or one that does not exist yet, or leave it out.",
        details={"path": path},
    )
