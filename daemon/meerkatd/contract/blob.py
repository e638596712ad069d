"""Blobs: images and other bytes that messages name."""

from pydantic import Field
from typing_extensions import TypedDict

from .base import Params


class BlobGet(Params):
    """`blob/get`: the bytes of a blob of this realm."""

    blob_id: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="As messages name it: `sha256:` and 64 digits.")


class BlobContent(TypedDict):
    """Result of `blob/get`. `data` is base64."""

    blob_id: str
    media_type: str
    data: str
