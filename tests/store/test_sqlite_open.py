"""What the SQLite backend makes of the files that it finds, and the ones that it makes."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from tests.store.conformance.bench import Bench, bench_of

from meerkatd.errors import RealmDamaged, RealmNotFound, RealmTooNew, StorageFailed
from meerkatd.store.sqlite import SqliteBackend, connection, schema

DATABASE = "sessions.sqlite3"


async def _closed_realm(folder: Path, sessions: int = 1) -> None:
    async with bench_of(SqliteBackend(), str(folder)) as bench:
        for _ in range(sessions):
            await bench.append((await bench.new_session()).session_id, "x" * 500)


async def _open(folder: Path, *, create: bool = False) -> None:
    store = await SqliteBackend().open(str(folder), create=create)
    await store.aclose()


async def _left_without_closing(folder: Path, copy: Path) -> None:
    """The files of a realm whose owner is still running, as its sudden end would leave them."""
    async with bench_of(SqliteBackend(), str(folder)) as bench:
        await bench.append((await bench.new_session()).session_id, "x" * 500)
        shutil.copytree(folder, copy)


def _modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with bench_of(SqliteBackend(), str(tmp_path)) as bench:
        await bench.new_session()
        modes = _modes(tmp_path)
    assert modes == {DATABASE: 0o600, f"{DATABASE}-wal": 0o600}


async def test_closed_realm_is_one_file(tmp_path: Path) -> None:
    await _closed_realm(tmp_path)
    assert list(_modes(tmp_path)) == [DATABASE]


async def test_realm_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(RealmNotFound):
        await _open(tmp_path)
    assert _modes(tmp_path) == {}


async def test_file_left_empty_by_a_crash_while_creating_becomes_a_realm(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch(mode=0o600)
    await _open(tmp_path)
    assert (tmp_path / DATABASE).stat().st_size > 0


async def test_settings_are_those_that_durability_needs(tmp_path: Path) -> None:
    database = connection.Database(str(tmp_path), create=True)
    read = {name: database.connection.pragma(name) for name, _ in connection.PRAGMAS}
    identity = [database.connection.pragma(name) for name in ("application_id", "user_version", "locking_mode")]
    database.close()
    assert read["journal_mode"] == "wal"
    assert (read["synchronous"], read["foreign_keys"], read["wal_autocheckpoint"]) == (2, 1, 0)
    assert identity == [schema.APPLICATION_ID, schema.FORMAT_VERSION, "exclusive"]


async def test_newer_realm_is_refused_and_its_writer_named(tmp_path: Path) -> None:
    await _closed_realm(tmp_path)
    database = apsw.Connection(str(tmp_path / DATABASE))
    database.pragma("user_version", schema.FORMAT_VERSION + 1)
    database.execute("UPDATE meta SET value = '99.1' WHERE name = 'written_by'")
    database.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(RealmTooNew) as caught:
        await _open(tmp_path, create=True)
    assert caught.value.details["written_by"] == "99.1"
    assert (tmp_path / DATABASE).read_bytes() == before


async def test_older_realm_is_migrated_by_the_missing_steps_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _closed_realm(tmp_path)
    steps = (*schema.MIGRATIONS, "CREATE TABLE later(x INTEGER) STRICT")
    monkeypatch.setattr(connection, "MIGRATIONS", steps)
    monkeypatch.setattr(connection, "FORMAT_VERSION", len(steps))
    async with bench_of(SqliteBackend(), str(tmp_path)) as bench:
        assert len(await bench.listed()) == 1
    database = apsw.Connection(str(tmp_path / DATABASE))
    assert database.pragma("user_version") == len(steps)
    assert database.table_exists("main", "later")


async def test_failed_migration_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await _closed_realm(tmp_path)
    steps = (*schema.MIGRATIONS, "CREATE TABLE later(x INTEGER) STRICT; CREATE TABLE sessions(x)")
    with monkeypatch.context() as patch:
        patch.setattr(connection, "MIGRATIONS", steps)
        patch.setattr(connection, "FORMAT_VERSION", len(steps))
        with pytest.raises(apsw.SQLError):
            await _open(tmp_path)
    await _open(tmp_path)


async def test_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = apsw.Connection(str(tmp_path / DATABASE))
    database.execute("CREATE TABLE theirs(x)")
    database.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(RealmDamaged):
        await _open(tmp_path, create=True)
    assert (tmp_path / DATABASE).read_bytes() == before


async def test_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"not a database at all, but long enough to look at " * 100)
    with pytest.raises(RealmDamaged) as caught:
        await _open(tmp_path, create=True)
    assert caught.value.details["path"] == str(tmp_path / DATABASE)


async def test_damage_is_found_after_an_unclean_stop(tmp_path: Path) -> None:
    """A page of zeros in the middle: a plain open does not read it, the check after a crash does."""
    await _closed_realm(tmp_path, sessions=60)
    content = bytearray((tmp_path / DATABASE).read_bytes())
    page = len(content) // 4096 * 3 // 4 * 4096
    content[page : page + 4096] = bytes(4096)
    (tmp_path / DATABASE).write_bytes(content)
    await _open(tmp_path)
    (tmp_path / f"{DATABASE}-wal").write_bytes(b"left over")
    with pytest.raises(RealmDamaged):
        await _open(tmp_path)


async def test_what_was_acknowledged_is_there_after_an_unclean_stop(tmp_path: Path) -> None:
    (tmp_path / "realm").mkdir()
    await _left_without_closing(tmp_path / "realm", tmp_path / "copy")
    assert (tmp_path / "copy" / f"{DATABASE}-wal").stat().st_size > 0
    async with bench_of(SqliteBackend(), str(tmp_path / "copy")) as bench:
        (session_id,) = await bench.listed()
        assert await bench.bodies(session_id) == ["x" * 500]


async def test_folder_that_does_not_exist_is_refused_by_path(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed) as caught:
        await _open(tmp_path / "missing", create=True)
    assert caught.value.details["path"] == str(tmp_path / "missing" / DATABASE)


async def test_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE).mkdir()
    with pytest.raises(StorageFailed):
        await _open(tmp_path, create=True)


async def test_link_in_place_of_the_file_is_refused_and_a_linked_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "realm").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "realm")
    await _open(tmp_path / "linked", create=True)
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / DATABASE).symlink_to(tmp_path / "realm" / DATABASE)
    with pytest.raises(StorageFailed):
        await _open(tmp_path / "trap", create=True)


_SECOND_OPENER = """
import sys
import apsw
database = apsw.Connection(sys.argv[1])
try:
    database.execute("SELECT * FROM sessions").fetchall()
except apsw.BusyError:
    print("refused")
"""


async def test_no_other_program_can_open_a_realm_that_is_open(bench_sqlite: Bench) -> None:
    """The SQLite of some systems can corrupt a WAL database that two programs have open."""
    await bench_sqlite.new_session()
    command = [sys.executable, "-c", _SECOND_OPENER, os.path.join(bench_sqlite.folder, DATABASE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: ASYNC221
    assert done.stdout == "refused\n"


@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_written_to_a_file_whose_name_is_gone(tmp_path: Path, replaced: bool) -> None:
    """Measured: SQLite goes on committing to an unlinked file, and everything since then is gone with the process."""
    async with bench_of(SqliteBackend(), str(tmp_path)) as bench:
        session = await bench.new_session()
        copy = (tmp_path / DATABASE).read_bytes()
        (tmp_path / DATABASE).unlink()
        if replaced:
            (tmp_path / DATABASE).write_bytes(copy)
        with pytest.raises(StorageFailed) as caught:
            await bench.append(session.session_id, "lost")
        assert caught.value.details["path"] == str(tmp_path / DATABASE)
        assert await bench.store.session(session.session_id) is not None, "what it holds can be saved"


async def test_a_file_that_is_put_back_can_be_written_again(tmp_path: Path) -> None:
    async with bench_of(SqliteBackend(), str(tmp_path)) as bench:
        session = await bench.new_session()
        (tmp_path / DATABASE).rename(tmp_path / "away")
        with pytest.raises(StorageFailed):
            await bench.append(session.session_id, "refused")
        (tmp_path / "away").rename(tmp_path / DATABASE)
        await bench.append(session.session_id, "kept")
