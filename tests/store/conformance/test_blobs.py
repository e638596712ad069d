"""Blobs come back as they were put, are kept once, and are checked when they are read."""

import hashlib
import os
import stat
from pathlib import Path

import pytest
import trio
from tests.store.conformance.bench import Bench, durable

from meerkat_client.wire.limits import MAX_BLOB
from meerkatd.errors import BlobNotFound, InvalidParams, RealmDamaged, RequestTooLarge, StorageFailed
from meerkatd.store.blobs import FOLDER, PREFIX

BYTES = b"\x89PNG\r\n\x1a\n\0\xff" * 100
MISSING = PREFIX + "0" * 64


def path_of(bench: Bench, blob_id: str) -> Path:
    return Path(bench.folder, FOLDER, blob_id.removeprefix(PREFIX))


@pytest.mark.parametrize("data", [BYTES, b"", b"\n\n"], ids=["image", "empty", "line feeds"])
async def test_blob_comes_back_as_it_was_put(bench: Bench, data: bytes) -> None:
    blob_id = await bench.store.blobs.put(data, "image/png")
    blob = await bench.store.blobs.get(blob_id)
    assert (blob.blob_id, blob.media_type, blob.data) == (blob_id, "image/png", data)


async def test_equal_blobs_are_one_and_another_media_type_is_another(bench: Bench) -> None:
    first = await bench.store.blobs.put(BYTES, "image/png")
    assert await bench.store.blobs.put(BYTES, "image/png") == first
    second = await bench.store.blobs.put(BYTES, "application/octet-stream")
    assert await bench.store.blobs.ids() == sorted([first, second])


async def test_many_puts_of_one_blob_at_once_are_one(bench: Bench) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(bench.store.blobs.put, BYTES, "image/png")
    (blob_id,) = await bench.store.blobs.ids()
    assert (await bench.store.blobs.get(blob_id)).data == BYTES


async def test_missing_blob_is_told_by_its_id(bench: Bench) -> None:
    with pytest.raises(BlobNotFound) as caught:
        await bench.store.blobs.get(MISSING)
    assert caught.value.details["blob_id"] == MISSING
    assert await bench.store.blobs.ids() == []


async def test_what_is_no_media_type_or_too_large_is_refused(bench: Bench) -> None:
    for wrong in ("png", "image/", "image/png\nx", "Image/PNG", ""):
        with pytest.raises(InvalidParams):
            await bench.store.blobs.put(BYTES, wrong)
    with pytest.raises(RequestTooLarge):
        await bench.store.blobs.put(bytes(MAX_BLOB + 1), "image/png")
    assert await bench.store.blobs.ids() == []


@durable
async def test_blob_is_one_file_for_its_owner_whose_name_is_its_digest(bench: Bench) -> None:
    blob_id = await bench.store.blobs.put(BYTES, "image/png")
    await bench.reopen()
    path = path_of(bench, blob_id)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert os.listdir(path.parent) == [path.name]
    assert (await bench.store.blobs.get(blob_id)).data == BYTES


@durable
@pytest.mark.parametrize("damage", [b"", b"image/png\n" + BYTES[:-1], b"image/jpg\n" + BYTES])
async def test_damaged_blob_is_never_given_and_mended_by_putting_it_again(bench: Bench, damage: bytes) -> None:
    blob_id = await bench.store.blobs.put(BYTES, "image/png")
    path_of(bench, blob_id).write_bytes(damage)
    with pytest.raises(RealmDamaged) as caught:
        await bench.store.blobs.get(blob_id)
    assert caught.value.details["path"] == str(path_of(bench, blob_id))
    assert await bench.store.blobs.put(BYTES, "image/png") == blob_id
    assert (await bench.store.blobs.get(blob_id)).data == BYTES


@durable
async def test_blob_that_cannot_be_written_leaves_nothing(bench: Bench) -> None:
    path_of(bench, "").write_bytes(b"in the way")
    with pytest.raises(StorageFailed):
        await bench.store.blobs.put(BYTES, "image/png")
