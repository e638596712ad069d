"""Backups and exports, through every door."""

import json
import os
import stat
from pathlib import Path

import pytest
from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.test_connections import refused
from tests.behaviours.test_sessions import create
from tests.support.scripted_provider import Gate

from meerkatd.store.blobs import FileBlobs

BACKENDS = ("sqlite", "jsonl")
KEY = "sk-not-to-be-shown"


async def filled(house: House, peer) -> str:
    """A realm with a config, a session of two turns, and a fork; the session."""
    await peer.call("config/set", config={"agent": {"temperature": 0.5}, "providers": {"api_keys": {"openai": KEY}}})
    session_id = await create(house, peer, labels={"team": "a"}, idempotency_key="k")
    house.provider.answers("again")
    await peer.call("turn/start", session_id=session_id, prompt="once more")
    await peer.call("session/fork_at", session_id=session_id, message_index=3)
    return session_id


async def history(peer, session_id: str) -> list:
    return (await peer.call("session/history", session_id=session_id))["messages"]


@pytest.mark.parametrize("backend", BACKENDS)
@holds("REA-7")
@except_over(py_blocking="a blocking client asks one thing at a time")
async def test_a_backup_that_was_taken_while_a_turn_ran_is_restored_whole(house: House, backend: str):
    root = Path(house.settings.state_root).parent
    async with house.connect(realm_id="r", backend=backend) as peer:
        session_id = await filled(house, peer)
        gate = Gate()
        house.provider.answers("half", gate)
        running = await peer.begin("turn/start", session_id=session_id, prompt="slowly")
        await gate.reached.wait()
        taken = await peer.call("realm/backup", path=str(root / "copy"))
        assert (taken["sessions"], taken["messages"], taken["backend"]) == (2, 7, backend)
        gate.open()
        await peer.reply(running)
        assert stat.S_IMODE((root / "copy").stat().st_mode) == 0o700
        assert all(path.stat().st_mode & 0o77 == 0 for path in (root / "copy").rglob("*"))

        restored = await peer.call("realm/restore_backup", path=str(root / "copy"), realm_id="other")
        assert restored["digests"] == taken["digests"]
    async with house.connect(realm_id="other") as peer:
        # The turn that was running is told as lost, with its prompt; the original went on.
        assert (await peer.call("turn/read", session_id=session_id))["state"] == "lost"
        assert [row["labels"] for row in (await peer.call("session/list"))["sessions"]].count({"team": "a"}) == 2
        config = await peer.call("config/get")
        assert (config["config"]["agent"]["temperature"], config["generation"]) == (0.5, 1)
        assert config["config"]["providers"]["api_keys"]["openai"] == {"secret": True, "set": True}
        house.provider.answers("on we go")
        assert (await peer.call("turn/start", session_id=session_id, prompt="?"))["text"] == "on we go"
    assert os.listdir(Path(house.settings.state_root) / "incoming") == []


@holds("REA-7")
async def test_a_backup_is_restored_under_its_own_id_when_that_is_free(house: House):
    root = Path(house.settings.state_root).parent
    async with house.connect(realm_id="r") as peer:
        session_id = await filled(house, peer)
        before = await history(peer, session_id)
        taken = await peer.call("realm/backup", path=str(root / "copy"))
        taken_again = await refused(peer.call("realm/backup", path=str(root / "copy")))
        assert (taken_again.code, taken_again.details["field"]) == ("INVALID_PARAMS", "path")
        there = await refused(peer.call("realm/restore_backup", path=str(root / "copy")))
        assert there.code == "REALM_EXISTS"
    async with house.connect(realm_id="elsewhere") as peer:
        await peer.call("realm/delete", realm_id="r")
        restored = await peer.call("realm/restore_backup", path=str(root / "copy"))
        assert (restored["realm_id"], restored["digests"]) == ("r", taken["digests"])
    async with house.connect(realm_id="r") as peer:
        assert await history(peer, session_id) == before
        again = await peer.call("session/create", prompt="hello", labels={"team": "a"}, idempotency_key="k")
        assert again["session_id"] == session_id, "keys come along"


@pytest.mark.parametrize("backend", BACKENDS)
@holds("REA-7")
async def test_a_changed_backup_is_refused_and_nothing_is_made(house: House, backend: str):
    root = Path(house.settings.state_root).parent
    async with house.connect(realm_id="r", backend=backend) as peer:
        await filled(house, peer)
        await peer.call("realm/backup", path=str(root / "copy"))
        note = json.loads((root / "copy" / "backup.json").read_text())
        name = next(iter(note["digests"]))
        note["digests"][name] = "0" * 64
        (root / "copy" / "backup.json").write_text(json.dumps(note))
        before = house.realm_folders()
        error = await refused(peer.call("realm/restore_backup", path=str(root / "copy"), realm_id="other"))
        assert (error.code, error.details["sessions"]) == ("REALM_DAMAGED", [name])
        for path in (str(root / "nowhere"), "copy", str(root)):
            bad = await refused(peer.call("realm/restore_backup", path=path, realm_id="other"))
            assert bad.code == "INVALID_PARAMS"
        assert house.realm_folders() == before
        assert os.listdir(Path(house.settings.state_root) / "incoming") == []


@pytest.mark.parametrize("method", ["realm/backup", "realm/export"])
@holds("REA-7", "REA-8")
async def test_a_realm_that_cannot_be_read_whole_is_not_copied_at_all(house: House, method: str):
    root = Path(house.settings.state_root).parent
    async with house.connect(realm_id="r") as peer:
        await filled(house, peer)
        (name,) = house.realm_folders()
        folder = root / "state" / "realms" / name
        blob_id = await FileBlobs(str(folder)).put(b"x", "image/png")
        (folder / "blobs" / blob_id.removeprefix("sha256:")).write_bytes(b"other bytes")
        before = sorted(os.listdir(root))
        assert (await refused(peer.call(method, path=str(root / "copy")))).code == "REALM_DAMAGED"
        assert sorted(os.listdir(root)) == before
        # What an earlier one left half done, as a killed daemon does, is in nobody's way.
        (root / "copy.partial").mkdir()
        (root / "copy.partial" / "sessions.sqlite3").write_bytes(b"half")
        await FileBlobs(str(folder)).put(b"x", "image/png")
        await peer.call(method, path=str(root / "copy"))
        assert sorted(os.listdir(root)) == sorted([*before, "copy"])


@holds("REA-7")
async def test_a_realm_in_memory_or_none_has_no_backup(house: House):
    root = Path(house.settings.state_root).parent
    async with house.connect(realm_id="m", backend="memory") as peer:
        missing = await refused(peer.call("realm/backup", realm_id="nobody", path=str(root / "copy")))
        assert missing.code == "REALM_NOT_FOUND"
        await create(house, peer)
        assert (await refused(peer.call("realm/backup", path=str(root / "copy")))).code == "INVALID_PARAMS"
        assert (await refused(peer.call("realm/backup", path="copy"))).code == "INVALID_PARAMS"
        assert (await refused(peer.call("realm/backup", path=str(root / "a" / "b")))).code == "INVALID_PARAMS"
        assert not (root / "copy").exists()


@pytest.mark.parametrize(("backend", "target"), [("sqlite", "jsonl"), ("jsonl", "sqlite"), ("memory", None)])
@holds("REA-8")
async def test_an_export_is_taken_by_another_backend(house: House, backend: str, target: str | None):
    root = Path(house.settings.state_root).parent
    file = root / "realm.export"
    async with house.connect(realm_id="r", backend=backend) as peer:
        session_id = await filled(house, peer)
        before = await history(peer, session_id)
        written = await peer.call("realm/export", path=str(file))
        assert KEY not in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (await refused(peer.call("realm/export", path=str(file)))).code == "INVALID_PARAMS"
        assert (await refused(peer.call("realm/import", path=str(file)))).code == "REALM_EXISTS"
        asked = {"path": str(file), "realm_id": "other"} | ({"backend": target} if target else {})
        made = await peer.call("realm/import", **asked)
        assert (made["digests"], made["backend"]) == (written["digests"], target or "sqlite")
    async with house.connect(realm_id="other") as peer:
        assert await history(peer, session_id) == before
        config = await peer.call("config/get")
        assert config["config"]["agent"] == {"temperature": 0.5}
        assert "openai" not in config["config"].get("providers", {}).get("api_keys", {})
        house.provider.answers("on we go")
        assert (await peer.call("turn/start", session_id=session_id, prompt="?"))["text"] == "on we go"


@holds("REA-8")
async def test_secrets_go_along_when_they_are_asked_for(house: House):
    root = Path(house.settings.state_root).parent
    async with house.connect(realm_id="r") as peer:
        await filled(house, peer)
        await peer.call("realm/export", path=str(root / "all"), secrets=True)
        await peer.call("realm/import", path=str(root / "all"), realm_id="other")
    async with house.connect(realm_id="other") as peer:
        config = await peer.call("config/get")
        assert config["config"]["providers"]["api_keys"]["openai"] == {"secret": True, "set": True}


@holds("REA-8")
async def test_an_export_has_no_secret_of_a_sessions_own_servers(house: House):
    """They are in the session's document and not in the config, and a file for others must not have them either."""
    file, everything = (Path(house.settings.state_root).parent / name for name in ("some", "all"))
    async with house.connect(realm_id="r") as peer:
        session_id = await filled(house, peer)
        server = {"name": "s", "command": "true", "env": {"TOKEN": "canary-of-a-server"}}
        await peer.call("mcp/add", session_id=session_id, server_config=server)
        written = await peer.call("realm/export", path=str(file))
        assert "canary-of-a-server" not in file.read_text()
        made = await peer.call("realm/import", path=str(file), realm_id="other")
        assert made["digests"] == written["digests"]
        await peer.call("realm/export", path=str(everything), secrets=True)
        assert "canary-of-a-server" in everything.read_text()


@holds("REA-8")
async def test_an_export_that_was_cut_off_or_changed_makes_nothing(house: House):
    root = Path(house.settings.state_root).parent
    file, other = root / "whole", root / "other"
    async with house.connect(realm_id="r") as peer:
        await filled(house, peer)
        await peer.call("realm/export", path=str(file))
        lines = file.read_bytes().splitlines(keepends=True)
        before = house.realm_folders()
        newer = json.loads(lines[0]) | {"format": 99, "written_by": "9.8.7"}
        wrong = [b"", b"no export\n", b"".join(lines[1:]), b"".join(lines)[:-5], b"".join(lines) + lines[-1]]
        wrong += [b"".join([*lines[:cut], *lines[cut + 1 :]]) for cut in range(1, len(lines))]
        wrong.append(b"".join(lines).replace(b"once more", b"once less"))
        for content in wrong:
            other.write_bytes(content)
            error = await refused(peer.call("realm/import", path=str(other), realm_id="other"))
            assert (error.code, error.details["field"]) == ("INVALID_PARAMS", "path")
        other.write_bytes(json.dumps(newer).encode() + b"\n" + b"".join(lines[1:]))
        assert (await refused(peer.call("realm/import", path=str(other), realm_id="other"))).code == "REALM_TOO_NEW"
        assert (await refused(peer.call("realm/import", path=str(root / "none")))).code == "INVALID_PARAMS"
        memory = await refused(peer.call("realm/import", path=str(file), realm_id="other", backend="memory"))
        assert memory.details["field"] == "backend"
        assert house.realm_folders() == before
        assert (await peer.call("realm/list"))["realms"][0]["realm_id"] == "r"
        assert os.listdir(Path(house.settings.state_root) / "incoming") == []


@pytest.mark.parametrize(("before", "after"), [("sqlite", "jsonl"), ("jsonl", "sqlite")])
@holds("REA-9")
async def test_a_realm_is_converted_with_all_that_it_has_and_back(house: House, before: str, after: str):
    root = Path(house.settings.state_root)
    async with house.connect(realm_id="r", backend=before) as peer, house.connect(realm_id="other") as other:
        session_id = await filled(house, peer)
        said = await history(peer, session_id)
        gate = Gate()
        house.provider.answers("half", gate)
        running = await peer.begin("turn/start", session_id=session_id, prompt="slowly")
        await gate.reached.wait()
        busy = await refused(other.call("realm/convert", realm_id="r", to=after))
        assert busy.code == "REALM_IN_USE"
        gate.open()
        await peer.reply(running)
        said = await history(peer, session_id)

        same = await refused(peer.call("realm/convert", to=before))
        assert (same.code, same.details["field"]) == ("INVALID_PARAMS", "to")
        assert (await refused(other.call("realm/convert", to=after))).code == "REALM_NOT_FOUND"
        converted = await other.call("realm/convert", realm_id="r", to=after)
        assert (converted["backend"], converted["sessions"]) == (after, 2)

        # The connection that was bound to it goes on, on the new store.
        assert (await peer.call("realm/show"))["backend"] == after
        assert await history(peer, session_id) == said
        house.provider.answers("on we go")
        assert (await peer.call("turn/start", session_id=session_id, prompt="?"))["text"] == "on we go"
        (trashed,) = (await peer.call("realm/trash"))["trash"]
        assert (trashed["realm_id"], trashed["backend"]) == ("r", before)
        back = await peer.call("realm/convert", to=before)
        assert back["messages"] == converted["messages"] + 2
        assert os.listdir(root / "incoming") == []
    await house.restart()
    async with house.connect(realm_id="r") as peer:
        assert (await peer.call("realm/show"))["backend"] == before
        assert len(await history(peer, session_id)) == len(said) + 2
