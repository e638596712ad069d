"""What the JSON lines backend makes of the files that it finds, and the ones that it makes."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
import trio
import trio.testing
from tests.store.conformance.bench import Bench, bench_of
from tests.store.watched_disk import DiskOperation, WatchedDisk, unwatched

from meerkat_client.wire.version import VERSION
from meerkatd.errors import RealmDamaged, RealmNotFound, RealmTooNew, StorageFailed
from meerkatd.store.api import KeyRow, NewMessage
from meerkatd.store.jsonl import JsonlBackend, opening
from meerkatd.store.jsonl.layout import INDEX, LOCK, REALM_LOG, session_file
from meerkatd.store.jsonl.record import Record, seal
from meerkatd.store.jsonl.rows import FORMAT_VERSION


def backend() -> JsonlBackend:
    return JsonlBackend(disk=WatchedDisk(unwatched))


async def _open(folder: Path, *, create: bool = False) -> None:
    store = await backend().open(str(folder), create=create)
    await store.aclose()


def _key(number: int) -> KeyRow:
    return KeyRow(key=f"key {number}", method="m", digest="d", created_ms=number)


async def _fill(bench: Bench, sessions: int = 3) -> list[str]:
    ids = []
    for number in range(sessions):
        row = bench.session_row(labels={"number": str(number)})
        await bench.store.create_session(row, key=_key(number))
        await bench.append(row.session_id, f"message of {number}")
        ids.append(row.session_id)
    running = await bench.begin(ids[-1], 1)
    await bench.store.put_charges([bench.charge_row(running)])
    await bench.store.put_approval(bench.approval_row(running))
    return ids


async def _everything(folder: Path, ids: list[str]) -> list[object]:
    """All that a store tells of some sessions."""
    async with bench_of(backend(), str(folder)) as bench:
        told: list[object] = [await bench.store.running_turns(), await bench.listed(include_archived=True)]
        told += [await bench.store.usage(), await bench.store.approvals(limit=10)]
        for number, session_id in enumerate(ids):
            told += [await bench.stored(session_id), await bench.bodies(session_id)]
            told += [await bench.store.last_turn(session_id), await bench.store.key(f"key {number}")]
        return told


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        (session_id,) = await _fill(bench, 1)
    assert {name: _mode(tmp_path / name) for name in os.listdir(tmp_path)} == {
        REALM_LOG: 0o600,
        INDEX: 0o600,
        LOCK: 0o600,
        "sessions": 0o700,
    }
    assert _mode(tmp_path / session_file(session_id)) == 0o600


async def test_realm_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(RealmNotFound):
        await _open(tmp_path)
    assert os.listdir(tmp_path) == []


async def test_realm_has_one_owner_who_is_named(tmp_path: Path) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        await bench.new_session()
        with pytest.raises(StorageFailed) as caught:
            await _open(tmp_path)
        assert caught.value.details["holder"] == str(os.getpid())
        await bench.new_session()
    await _open(tmp_path)


async def test_refused_opening_gives_the_lock_back(tmp_path: Path) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        (session_id,) = await _fill(bench, 1)
    path = tmp_path / session_file(session_id)
    whole = path.read_bytes()
    path.write_bytes(b"#" + whole[1:])
    (tmp_path / INDEX).unlink()
    with pytest.raises(RealmDamaged):
        await _open(tmp_path)
    path.write_bytes(whole)
    await _open(tmp_path)


async def test_realm_of_a_newer_program_is_refused_by_the_name_of_its_version(tmp_path: Path) -> None:
    await _open(tmp_path, create=True)
    line = Record("realm", {"format": FORMAT_VERSION + 1, "written_by": "9.8.7"})
    (tmp_path / REALM_LOG).write_bytes(b"".join(seal([line], first=0, synced=0)))
    with pytest.raises(RealmTooNew) as caught:
        await _open(tmp_path)
    assert caught.value.details["written_by"] == "9.8.7"


async def test_session_of_a_newer_program_is_refused_too(tmp_path: Path) -> None:
    await _open(tmp_path, create=True)
    line = Record("session", {"format": FORMAT_VERSION + 1})
    (tmp_path / session_file("s")).write_bytes(b"".join(seal([line], first=0, synced=0)))
    with pytest.raises(RealmTooNew):
        await _open(tmp_path)


async def test_realm_of_an_older_format_is_marked_once_so_that_older_programs_refuse_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sessions").mkdir()
    line = Record("realm", {"format": FORMAT_VERSION - 1, "written_by": "0.0.1"})
    (tmp_path / REALM_LOG).write_bytes(b"".join(seal([line], first=0, synced=0)))
    async with bench_of(backend(), str(tmp_path)) as bench:
        await _fill(bench)
    marked = (tmp_path / REALM_LOG).read_bytes()
    await _open(tmp_path)
    assert (tmp_path / REALM_LOG).read_bytes() == marked
    monkeypatch.setattr(opening, "FORMAT_VERSION", FORMAT_VERSION - 1)
    with pytest.raises(RealmTooNew) as caught:
        await _open(tmp_path)
    assert caught.value.details["written_by"] == VERSION


async def test_file_that_a_crash_left_half_made_is_removed(tmp_path: Path) -> None:
    await _open(tmp_path, create=True)
    left = tmp_path / "sessions" / "abc.jsonl.new"
    left.write_bytes(b'{"n":0')
    await _open(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("session_id", ["../x", "a/b", "", ".", "A", "x" * 101, "a\0b", "é"])
async def test_session_id_that_cannot_name_a_file_is_refused(tmp_path: Path, session_id: str) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        with pytest.raises(ValueError, match="file"):
            await bench.new_session(session_id=session_id)


async def test_fork_is_written_after_what_it_shares(tmp_path: Path) -> None:
    """They are two files: were they written at once, a power cut could keep the fork alone."""
    synced: list[str] = []

    def watch(operation: DiskOperation) -> None:
        if operation.kind == "sync":
            synced.append(Path(operation.path).name.removesuffix(".new"))

    async with bench_of(JsonlBackend(disk=WatchedDisk(watch)), str(tmp_path)) as bench:
        source, fork, blocker = await bench.new_session(), bench.session_row(), await bench.new_session()
        new = [NewMessage(role="user", body="a")]
        synced.clear()

        async def append(session_id: str) -> None:
            await bench.store.append(session_id, new, updated_ms=2)

        async def take() -> None:
            await bench.store.fork_session(fork, source_id=source.session_id, count=1)

        async with trio.open_nursery() as nursery:
            # The first is a batch by itself; what arrives meanwhile is the next, in order of arrival.
            nursery.start_soon(append, blocker.session_id)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(append, source.session_id)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(take)
        assert synced[-2:] == [f"{source.session_id}.jsonl", f"{fork.session_id}.jsonl"]
        assert await bench.bodies(fork.session_id) == ["a"]


@pytest.mark.parametrize("left", [None, 1])
async def test_fork_whose_shared_messages_are_gone_is_damage(tmp_path: Path, left: int | None) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        source, fork = await bench.new_session(), bench.session_row()
        await bench.append(source.session_id, "a")
        await bench.store.fork_session(fork, source_id=source.session_id, count=1)
    (tmp_path / INDEX).unlink()
    path = tmp_path / session_file(source.session_id)
    if left is None:
        path.unlink()
    else:
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    with pytest.raises(RealmDamaged) as caught:
        await _open(tmp_path)
    assert caught.value.details["path"] == str(path)


# -- the index -----------------------------------------------------------------------------------------------------


async def test_index_says_the_same_as_the_files(tmp_path: Path) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        ids = await _fill(bench)
        assert await bench.store.prune_keys(before_ms=1) == 1
    with_index = await _everything(tmp_path, ids)
    (tmp_path / INDEX).unlink()
    assert await _everything(tmp_path, ids) == with_index


async def test_sessions_that_the_index_knows_are_not_read_when_opening(tmp_path: Path) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        ids = await _fill(bench)
    read: list[str] = []

    def watch(operation: DiskOperation) -> None:
        if operation.kind in ("read", "open"):
            read.append(Path(operation.path).name)

    async with bench_of(JsonlBackend(disk=WatchedDisk(watch)), str(tmp_path)) as bench:
        assert set(read) == {REALM_LOG, INDEX}
        assert sorted(await bench.listed()) == sorted(ids)


async def test_what_was_written_after_the_index_is_read_behind_it(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    async with bench_of(backend(), str(tmp_path)) as bench:
        ids = await _fill(bench)
        await bench.store.tidy()
        await bench.append(ids[0], "after the index")
        late = await bench.new_session()
        shutil.copytree(tmp_path, copy)
    async with bench_of(backend(), str(copy)) as bench:
        assert await bench.bodies(ids[0]) == ["message of 0", "after the index"]
        assert (await bench.stored(ids[0])).turn_count == 2
        assert await bench.bodies(late.session_id) == []
        assert len(await bench.store.running_turns()) == 1


async def test_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    """Its size is that of the index, its time of change is not."""
    async with bench_of(backend(), str(tmp_path)) as bench:
        ids = await _fill(bench)
    path = tmp_path / session_file(ids[0])
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if b"message of 0" in line)
    lines[place] = lines[place].replace(b"message of 0", b"message of 9")
    path.write_bytes(b"".join(lines))
    with pytest.raises(RealmDamaged):
        await _open(tmp_path)


@pytest.mark.parametrize("loss", ["shorter", "gone"])
async def test_file_that_lost_what_the_index_saw_is_refused_until_the_index_is_deleted(
    tmp_path: Path, loss: str
) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        ids = await _fill(bench)
    path = tmp_path / session_file(ids[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-100]) if loss == "shorter" else path.unlink()
    with pytest.raises(RealmDamaged) as caught:
        await _open(tmp_path)
    assert caught.value.details["path"] == str(path)
    (tmp_path / INDEX).unlink()
    async with bench_of(backend(), str(tmp_path)) as bench:
        assert len(await bench.listed()) == (3 if loss == "shorter" else 2)


@pytest.mark.parametrize("spoil", [lambda data: data[:-40], lambda data: b"{}" + data, lambda _data: b""])
async def test_index_that_cannot_be_read_is_made_anew(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    async with bench_of(backend(), str(tmp_path)) as bench:
        ids = await _fill(bench)
    before = await _everything(tmp_path, ids)
    path = tmp_path / INDEX
    path.write_bytes(spoil(path.read_bytes()))
    assert await _everything(tmp_path, ids) == before


# -- for people ----------------------------------------------------------------------------------------------------


async def test_every_line_of_every_file_is_a_json_object_with_its_type(tmp_path: Path) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        ids = await _fill(bench)
        await bench.store.prune_keys(before_ms=1)
        await bench.append(ids[0], '{"role":"user","content":"hello"}', "no JSON at all\n\0")
    for path in [tmp_path / REALM_LOG, tmp_path / INDEX, *(tmp_path / "sessions").iterdir()]:
        for number, line in enumerate(path.read_text().splitlines()):
            fields = json.loads(line)
            assert (fields["n"], list(fields)[:2], list(fields)[-1]) == (number, ["n", "type"], "crc")
    lines = [json.loads(line) for line in (tmp_path / session_file(ids[0])).read_text().splitlines()]
    messages = [line for line in lines if line["type"] == "message"]
    assert messages[1]["body"]["content"] == "hello"
    assert messages[2]["body_text"] == "no JSON at all\n\0"


async def test_pruned_key_that_is_used_again_stays_after_opening_again(tmp_path: Path) -> None:
    async with bench_of(backend(), str(tmp_path)) as bench:
        await _fill(bench)
        assert await bench.store.prune_keys(before_ms=2) == 2
        await bench.store.create_session(bench.session_row(), key=_key(0))
        for _ in range(2):
            (tmp_path / INDEX).unlink(missing_ok=True)
            await bench.reopen()
            assert await bench.store.key("key 0") is not None
            assert await bench.store.key("key 1") is None
            assert await bench.store.key("key 2") is not None
