"""Blobs, through every door."""

from base64 import b64decode
from pathlib import Path

from tests.behaviours.conftest import House
from tests.behaviours.promises import holds
from tests.behaviours.test_connections import refused

from meerkatd.store.blobs import FOLDER, PREFIX, FileBlobs


@holds("BLO-1")
async def test_a_blob_is_given_by_its_id_and_a_missing_one_is_told(house: House):
    missing = PREFIX + "0" * 64
    async with house.connect(realm_id="r") as peer:
        error = await refused(peer.call("blob/get", blob_id=missing))
        assert (error.code, error.number) == ("BLOB_NOT_FOUND", -32602)
        assert house.realm_folders() == []
        await peer.call("realm/create", realm_id="r")
        (name,) = house.realm_folders()
        folder = Path(house.settings.state_root, "realms", name)
        blob_id = await FileBlobs(str(folder)).put(b"\x89PNG", "image/png")
        blob = await peer.call("blob/get", blob_id=blob_id)
        assert (blob["blob_id"], blob["media_type"], b64decode(blob["data"])) == (blob_id, "image/png", b"\x89PNG")
        assert (await refused(peer.call("blob/get", blob_id=missing))).code == "BLOB_NOT_FOUND"
        assert (await refused(peer.call("blob/get", blob_id="../config.toml"))).code == "INVALID_PARAMS"
        (folder / FOLDER / blob_id.removeprefix(PREFIX)).write_bytes(b"other bytes")
        assert (await refused(peer.call("blob/get", blob_id=blob_id))).code == "REALM_DAMAGED"
