"""Images of prompts: kept once as blobs, named by the transcript, and read again for each turn that shows them."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..agent.images import Image
from ..contract.message import Content, ImageContent, Message, TextContent
from ..errors import BlobNotFound, InvalidParams, RealmDamaged
from ..store.api import RealmStore

# A call carries the newest so many, and so many bytes of them; what is older is told as a text. Providers refuse a
# call with more than 20 to 100 images, and each is sent anew with every call.
MAX_SHOWN = 20
MAX_SHOWN_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image as a request brings it."""

    media_type: str
    data: bytes


PromptContent = str | Sequence[TextContent | ImageContent | NewImage]


async def stored(prompt: PromptContent, store: RealmStore) -> Content:
    """The prompt as the transcript keeps it, its images durable.

    Raises:
        BlobNotFound: it names a blob that there is not. InvalidParams: that blob has another media type.
        StorageFull, StorageFailed.
    """
    if isinstance(prompt, str):
        return prompt
    blocks: list[TextContent | ImageContent] = []
    for block in prompt:
        if isinstance(block, NewImage):
            blob_id = await store.blobs.put(block.data, block.media_type)
            blocks.append({"type": "image", "media_type": block.media_type, "source": "blob", "blob_id": blob_id})
        else:
            if block["type"] == "image":
                await _check(block, store)
            blocks.append(block)
    return blocks


async def _check(block: ImageContent, store: RealmStore) -> None:
    blob = await store.blobs.get(block["blob_id"])
    if blob.media_type != block["media_type"]:
        raise InvalidParams(
            f"prompt: the blob {block['blob_id']} is {blob.media_type}, not {block['media_type']}.",
            details={"field": "prompt", "blob_id": block["blob_id"]},
        )


def has_images(prompt: PromptContent | Content) -> bool:
    return not isinstance(prompt, str) and any(isinstance(each, NewImage) or each["type"] == "image" for each in prompt)


def images_in(message: Message) -> list[str]:
    """The blob ids of a message's images."""
    if message["role"] != "user" or isinstance(message["content"], str):
        return []
    return [block["blob_id"] for block in message["content"] if block["type"] == "image"]


class Album:
    """The images that a turn shows: read when they are first needed, and kept for the turn.

    Args:
        ids: gives those that the model would see now, the oldest first.
    """

    def __init__(self, store: RealmStore, ids: Callable[[], Sequence[str]]) -> None:
        self._store = store
        self._ids = ids
        self._read: dict[str, Image | None] = {}

    async def images(self) -> Mapping[str, Image]:
        """The newest ones, by blob id. One that is gone or damaged is left out: its turn was long ago."""
        shown: dict[str, Image] = {}
        room = MAX_SHOWN_BYTES
        for blob_id in reversed(self._ids()):
            image = await self._image(blob_id)
            if image is None or blob_id in shown:
                continue
            room -= len(image.base64)
            if len(shown) == MAX_SHOWN or room < 0:
                break
            shown[blob_id] = image
        return shown

    async def _image(self, blob_id: str) -> Image | None:
        if blob_id not in self._read:
            try:
                blob = await self._store.blobs.get(blob_id)
            except (BlobNotFound, RealmDamaged):
                self._read[blob_id] = None
            else:
                self._read[blob_id] = Image(blob.media_type, base64.b64encode(blob.data).decode("ascii"))
        return self._read[blob_id]
