"""The user's own config, beneath that of every realm: one file, which only its owner writes."""

from typing import Any

from ...errors import from_os_error
from .cell import ConfigVersion, unusable
from .check import ConfigFault, check_document
from .files import ABSENT, Stamp, read_text_file, stamp
from .text import parse


class UserConfig:
    """The config file at `path`; it need not exist. `look` costs a stat while nothing has changed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp: Stamp = ABSENT
        self._data = b""
        self._version = ConfigVersion(plain={})

    def __repr__(self) -> str:
        return f"<UserConfig {self.path}>"

    def look(self) -> ConfigVersion:
        """What it says, or the last good content with a problem. It has no generations.

        Raises:
            PermissionDenied, StorageFailed: it is there and cannot be read.
        """
        try:
            found = stamp(self.path)
            if found == self._stamp and found.settled:
                return self._version
            data = read_text_file(self.path)
        except OSError as error:
            raise from_os_error(error, doing="read the user's config") from error
        if data != self._data:
            self._version = self._read(data)
            self._data = data
        self._stamp = found
        return self._version

    def current(self) -> dict[str, Any]:
        """What it says. Raises ConfigInvalid when that cannot be used, and as `look`."""
        version = self.look()
        if version.problem is not None:
            raise version.problem()
        return dict(version.plain)

    def _read(self, data: bytes) -> ConfigVersion:
        try:
            plain = parse(data)
            check_document(plain)
        except ConfigFault as fault:
            problem = unusable(fault, data, path=self.path, way_on="Mend it there.")
            return ConfigVersion(plain=self._version.plain, text=self._version.text, problem=problem)
        return ConfigVersion(plain=plain, text=data.decode("utf-8-sig"))
