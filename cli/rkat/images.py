"""Images of the command line: files that go with a prompt."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meerkat_client.errors import RkatError
from meerkat_client.wire.limits import MAX_REQUEST_FRAME

# All images of a request and its prompt share one frame, and base64 takes 4/3 of the bytes.
MAX_BYTES = MAX_REQUEST_FRAME * 7 // 10
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


def with_images(prompt: str, files: Sequence[str]) -> Any:
    """The prompt with its images, as `session/create` and `turn/start` take it.

    Raises:
        RkatError: INVALID_PARAMS for a file that is no image, REQUEST_TOO_LARGE.
    """
    if not files:
        return prompt
    blocks, total = [], 0
    for name in files:
        data = _read(name)
        total += len(data)
        if total > MAX_BYTES:
            raise RkatError(
                "REQUEST_TOO_LARGE",
                f"The images are larger than {MAX_BYTES // 1024} KiB together, the most that one prompt may have.",
                hint="Make them smaller: models see no more than about 1,500 pixels of a side anyway.",
                details={"limit": MAX_BYTES},
            )
        encoded = base64.b64encode(data).decode("ascii")
        blocks.append({"type": "image", "media_type": _media_type(name, data), "source": "inline", "data": encoded})
    return [*blocks, {"type": "text", "text": prompt}]


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        why = (error.strerror or "it failed").lower()
        raise RkatError("INVALID_PARAMS", f"The image {name!r} cannot be read: {why}.") from error


def _media_type(name: str, data: bytes) -> str:
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    raise RkatError(
        "INVALID_PARAMS",
        f"The file {name!r} is no image that models take.",
        hint="They take PNG, JPEG, GIF and WebP.",
        details={"path": name},
    )
