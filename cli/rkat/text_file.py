"""Texts of the command line that come from a file."""

from pathlib import Path

from meerkat_client.errors import RkatError


def read_text(name: str, *, what: str, limit: int) -> str:
    """A text file, whole.

    Args:
        what: what it is, for the message, such as "system prompt".
        limit: in bytes.

    Raises:
        RkatError: INVALID_PARAMS when it cannot be read or is no UTF-8 text, REQUEST_TOO_LARGE.
    """
    try:
        with Path(name).open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise RkatError("REQUEST_TOO_LARGE", f"The {what} {name!r} is longer than {limit // 1024} KiB.")
        return data.decode("utf-8-sig")
    except OSError as error:
        why = (error.strerror or "it failed").lower()
        raise RkatError("INVALID_PARAMS", f"The {what} {name!r} cannot be read: {why}.") from error
    except UnicodeDecodeError as error:
        raise RkatError("INVALID_PARAMS", f"The {what} {name!r} is not UTF-8 text (byte {error.start}).") from error
