"""Blobs: the bytes that messages name by id."""

from base64 import b64encode

import trio

from ..contract.blob import BlobContent, BlobGet
from ..protocol.port import Call
from .context import Context


async def get(context: Context, params: BlobGet, call: Call) -> BlobContent:
    blob = await context.realm.blob(params.blob_id)
    # In a thread: 20 MiB hold the loop for some 20 ms.
    data = await trio.to_thread.run_sync(b64encode, blob.data)
    return {"blob_id": blob.blob_id, "media_type": blob.media_type, "data": data.decode("ascii")}
