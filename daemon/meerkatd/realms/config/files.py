"""The two files of a config on the disk, and whether the one that people edit has changed. Synchronous."""

import errno
import os
import stat
import time
from typing import NamedTuple

from ...contract.config import MAX_CONFIG_BYTES
from ...errors import RealmDamaged
from ..durable import write_durably
from .state import ConfigState, digest_of

CONFIG_NAME = "config.toml"
STATE_NAME = "config_state.json"
_MAX_STATE_BYTES = 1024 * 1024
# Two changes within one tick of a file system's clock look alike: a file that was changed this recently is read again
# instead of trusting its stamps. Two seconds is the coarsest tick in use.
_TICK_NS = 2_000_000_000


class Stamp(NamedTuple):
    """What tells one version of a file from the next without reading it."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    settled: bool
    """Whether another change would show in the other fields."""


ABSENT = Stamp(0, 0, 0, 0, 0, settled=True)


class EditedMeanwhile(Exception):
    """The file was changed by somebody else after it was read; nothing was written."""


def stamp(path: str) -> Stamp:
    """Stamp of the file at `path`, `ABSENT` when there is none. Raises OSError."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ABSENT
    settled = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _TICK_NS
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, settled)


def read_text_file(path: str, *, limit: int = MAX_CONFIG_BYTES) -> bytes:
    """Up to one byte more than `limit` of a regular file; nothing when there is none.

    Raises:
        OSError: it cannot be read, or is no regular file (opening a named pipe would wait for ever).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read(limit + 1)


class ConfigFiles:
    """`config.toml` and `config_state.json` of one realm.

    Args:
        folder: the realm's; it exists.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, CONFIG_NAME)
        self.state_path = os.path.join(folder, STATE_NAME)

    def stamp(self) -> Stamp:
        return stamp(self.path)

    def read(self) -> bytes:
        return read_text_file(self.path)

    def load_state(self) -> ConfigState | None:
        """The state; None before the first write.

        Raises:
            RealmDamaged: it is no state.
            OSError.
        """
        try:
            with open(self.state_path, "rb") as file:
                return ConfigState.load(file.read(_MAX_STATE_BYTES))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RealmDamaged(
                f"The config's state is no longer readable: {self.state_path}.",
                details={"path": self.state_path},
                hint="Move that file away; the generation of the config then starts again.",
            ) from error

    def save_state(self, state: ConfigState) -> None:
        write_durably(self.state_path, state.dump())

    def write(self, state: ConfigState, data: bytes) -> None:
        """Make `data` the config. `state` is that after the write, and says what is replaced.

        Raises:
            EditedMeanwhile: the file no longer is what `state` replaces. A person's save between this look and the
                rename, microseconds later, is lost.
            OSError: it was not written, unless only the last fsync failed: `read` tells.
        """
        # One fsync of the folder makes both renames durable; the first is never behind the second.
        write_durably(self.state_path, state.dump(), and_folder=False)

        def check() -> None:
            if state.replaced is not None and digest_of(self.read()) != state.replaced[1]:
                raise EditedMeanwhile

        write_durably(self.path, data, before_rename=check)
