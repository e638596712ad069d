"""Power cuts while blobs are put: what was acknowledged is there, and no blob is there by half."""

import random
import shutil
from pathlib import Path

import pytest
import trio
from tests.store.test_jsonl_power import PowerLog
from tests.store.watched_disk import WatchedDisk

from meerkatd.store.blobs import FileBlobs

COUNT = 12


def content(number: int) -> bytes:
    return f"{number}".encode() * 700


@pytest.mark.parametrize("cuts", [60, pytest.param(2000, marks=pytest.mark.long)])
async def test_no_power_cut_loses_or_halves_a_blob(cuts: int, tmp_path: Path) -> None:
    realm = tmp_path / "realm"
    realm.mkdir()
    log = PowerLog(syncs=True)
    with trio.fail_after(30):
        blobs = FileBlobs(str(realm), disk=WatchedDisk(log))
        for number in range(COUNT):
            log.mark(await blobs.put(content(number), "image/png"))
    dice = random.Random(cuts)
    for number in range(cuts):
        image = tmp_path / f"cut {number}"
        (image / "blobs").mkdir(parents=True)
        acknowledged = log.image(realm, image, dice.randrange(len(log)), number, torn=True)
        left = FileBlobs(str(image))
        ids = await left.ids()
        assert acknowledged <= set(ids)
        for blob_id in ids:
            await left.get(blob_id)
        shutil.rmtree(image)
