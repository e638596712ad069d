"""Reading realms through, over every way."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.test_connections import refused
from tests.behaviours.test_sessions import create
from tests.support.scripted_provider import Gate

from meerkatd.store.blobs import FOLDER, PREFIX, FileBlobs

BACKENDS = ("sqlite", "jsonl")


def folder_of(house: House, realm_id: str = "r") -> Path:
    realms = Path(house.settings.state_root, "realms")
    return next(path for path in realms.iterdir() if path.name.startswith(f"{realm_id}-"))


async def wrongs(peer, **params) -> list[tuple[str, str]]:
    """Check and code of each finding that is not well; each has a mend."""
    checked = await peer.call("realm/check", **params)
    bad = [finding for finding in checked["findings"] if finding["level"] != "ok"]
    assert all(finding["mend"].endswith(".") for finding in bad)
    assert checked["whole"] is not any(finding["level"] == "error" for finding in bad)
    return [(finding["check"], finding.get("code", "")) for finding in bad]


@pytest.mark.parametrize("backend", [*BACKENDS, "memory"])
@holds("REA-10")
@except_over(py_blocking="a blocking client asks one thing at a time")
async def test_a_realm_that_is_well_is_told_so_while_a_turn_runs(house: House, backend: str):
    async with house.connect(realm_id="r", backend=backend) as peer:
        assert (await refused(peer.call("realm/check"))).code == "REALM_NOT_FOUND"
        session_id = await create(house, peer)
        await peer.call("session/fork_at", session_id=session_id, message_index=1)
        gate = Gate()
        house.provider.answers("half", gate)
        running = await peer.begin("turn/start", session_id=session_id, prompt="slowly")
        await gate.reached.wait()
        assert await wrongs(peer) == []
        gate.open()
        await peer.reply(running)
        checked = await peer.call("realm/check", realm_id="r")
        assert [finding["check"] for finding in checked["findings"]] == [
            "realm.manifest",
            "realm.config",
            "realm.blobs",
            "realm.store",
        ]


@pytest.mark.parametrize("backend", BACKENDS)
@holds("REA-10")
async def test_blobs_that_are_damaged_missing_or_none_are_named(house: House, backend: str):
    async with house.connect(realm_id="r", backend=backend) as peer:
        missing = PREFIX + "0" * 64
        house.provider.answers("I see.")
        said = await peer.call("session/create", prompt=f'"blob_id":"{missing}" is only text')
        assert await wrongs(peer) == []
        folder = folder_of(house)
        blob_id = await FileBlobs(str(folder)).put(b"x", "image/png")
        (folder / FOLDER / blob_id.removeprefix(PREFIX)).write_bytes(b"image/png\ny")
        (folder / FOLDER / "left.new").write_bytes(b"")
        assert await wrongs(peer) == [("realm.blob", "REALM_DAMAGED"), ("realm.blobs", "")]
        assert said["session_id"]


@holds("REA-10")
async def test_a_realm_whose_files_are_damaged_is_a_finding_and_no_error(house: House):
    async with house.connect(realm_id="r") as peer:
        await create(house, peer)
    await house.restart()
    folder = folder_of(house)
    database = sqlite3.connect(folder / "sessions.sqlite3")
    database.execute("UPDATE sessions SET turn_count = 7")
    database.execute("UPDATE messages SET body = ? WHERE role = 'user'", (json.dumps({"blob_id": PREFIX + "0" * 64}),))
    database.commit()
    database.close()
    async with house.connect(realm_id="other") as peer:
        assert await wrongs(peer, realm_id="r") == [("realm.store", "REALM_DAMAGED")]
    await house.restart()
    database = sqlite3.connect(folder / "sessions.sqlite3")
    database.execute("UPDATE sessions SET turn_count = 1")
    database.commit()
    database.close()
    async with house.connect(realm_id="other") as peer:
        assert await wrongs(peer, realm_id="r") == [("realm.blob", "BLOB_NOT_FOUND")]
    await house.restart()
    (folder / "config.toml").write_text("nonsense = ")
    async with house.connect(realm_id="other") as peer:
        assert ("realm.config", "CONFIG_INVALID") in await wrongs(peer, realm_id="r")
    await house.restart()
    (folder / "realm_manifest.json").write_text("{}")
    async with house.connect(realm_id="other") as peer:
        assert await wrongs(peer, realm_id="r") == [("realm.manifest", "REALM_DAMAGED")]
        listed = await peer.call("realm/list")
        assert [row["realm_id"] for row in listed["realms"]] == []
        assert [(row["path"], row["code"]) for row in listed["unreadable"]] == [(str(folder), "REALM_DAMAGED")]
