"""Errors of the wire itself, below the daemon's and the clients' own hierarchies; both map them by `code`."""

from .codes import TABLE


class WireError(Exception):
    """Something that the wire refuses. `code` is one of the error table.

    Attributes:
        code, message, hint: as shown to people and programs; `hint` has the table's default.
        details: facts for programs.
    """

    code = "INTERNAL_ERROR"

    def __init__(self, message: str, *, hint: str | None = None, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or TABLE[self.code].hint
        self.details = details or {}


class MalformedFrame(WireError):
    """The bytes are not one strict CBOR (or JSON) value."""

    code = "PARSE_ERROR"


class NotEncodable(WireError):
    """A value that the wire cannot carry, such as a lone surrogate or a set."""

    code = "INVALID_PARAMS"


class FrameTooLarge(WireError):
    """A frame above its limit; `details` has `size` and `limit`."""

    code = "REQUEST_TOO_LARGE"


class PathRefused(WireError):
    """A directory or socket that is not ours alone, or a path that cannot be used."""

    code = "PERMISSION_DENIED"
