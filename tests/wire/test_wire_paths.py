"""Where things are, and whose they have to be."""

import os
import pwd
from pathlib import Path

import pytest

from meerkat_client.wire import paths
from meerkat_client.wire.faults import PathRefused
from meerkat_client.wire.paths import PRIVATE, UNWRITABLE, open_directory, places, socket_address


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def test_an_explicit_state_root_wins_over_the_environment(home: Path) -> None:
    found = places(str(home / "a"), environ={"HOME": str(home), "MEERKAT_STATE_ROOT": str(home / "b")})
    assert found.state_root == str(home / "a")
    assert found.lock_path == str(home / "a" / "meerkatd.lock")


def test_the_state_root_follows_the_data_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths.sys, "platform", "linux")
    assert places(environ={"HOME": str(home)}).state_root == str(home / ".local/share/meerkat")
    found = places(environ={"HOME": str(home), "XDG_DATA_HOME": str(home / "data")})
    assert found.state_root == str(home / "data/meerkat")


def test_two_state_roots_have_two_sockets(home: Path) -> None:
    environ = {"HOME": str(home), "MEERKAT_RUNTIME_DIR": str(home / "run")}
    one, two = places(str(home / "a"), environ=environ), places(str(home / "b"), environ=environ)
    assert one.socket_path != two.socket_path
    assert Path(one.runtime_dir).parent == home / "run"
    assert Path(one.runtime_dir).name.startswith("r-")


def test_the_same_state_root_by_another_name_has_the_same_socket(home: Path) -> None:
    (home / "real").mkdir()
    (home / "alias").symlink_to("real")
    environ = {"HOME": str(home)}
    assert places(str(home / "alias"), environ=environ) == places(str(home / "real"), environ=environ)


def test_only_the_accounts_own_default_is_without_a_subdirectory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed HOME moves the data; would the socket stay, clients would reach the wrong daemon."""
    account = home / "account"
    entry = pwd.struct_passwd(("u", "x", os.geteuid(), 0, "", str(account), ""))
    monkeypatch.setattr(paths.pwd, "getpwuid", lambda _: entry)
    run = {"MEERKAT_RUNTIME_DIR": str(home / "run")}
    assert places(environ={"HOME": str(account), **run}).runtime_dir == str(home / "run")
    assert places(environ={"HOME": str(home / "other"), **run}).runtime_dir != str(home / "run")


def test_a_session_directory_of_somebody_else_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `su` XDG_RUNTIME_DIR often names a directory that is gone or another user's."""
    monkeypatch.setattr(paths.sys, "platform", "linux")
    good = home / "session"
    good.mkdir(mode=0o700)
    assert places(environ={"HOME": str(home), "XDG_RUNTIME_DIR": str(good)}).runtime_dir.startswith(str(good))
    shared = home / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for bad in (shared, home / "missing"):
        found = places(environ={"HOME": str(home), "XDG_RUNTIME_DIR": str(bad)})
        assert not found.runtime_dir.startswith(str(bad))


def test_a_missing_directory_is_made_private(home: Path) -> None:
    wanted = home / "x" / "y"
    os.close(open_directory(str(wanted), refuse=PRIVATE))
    assert wanted.stat().st_mode & 0o777 == 0o700
    assert wanted.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("mode", "refuse"), [(0o755, PRIVATE), (0o710, PRIVATE), (0o775, UNWRITABLE)])
def test_a_directory_that_is_open_to_others_is_refused_and_left_as_it_is(home: Path, mode: int, refuse: int) -> None:
    wanted = home / "open"
    wanted.mkdir()
    wanted.chmod(mode)
    with pytest.raises(PathRefused) as caught:
        open_directory(str(wanted), refuse=refuse)
    assert caught.value.code == "PERMISSION_DENIED"
    assert str(wanted) in caught.value.message
    assert "chmod" in caught.value.hint
    assert wanted.stat().st_mode & 0o777 == mode


def test_a_directory_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = home / "theirs"
    wanted.mkdir(mode=0o700)
    monkeypatch.setattr(paths.os, "geteuid", lambda: wanted.stat().st_uid + 1)
    with pytest.raises(PathRefused) as caught:
        open_directory(str(wanted), refuse=PRIVATE)
    assert caught.value.details["uid"] == wanted.stat().st_uid


def test_a_planted_symlink_is_refused(home: Path) -> None:
    (home / "target").mkdir(mode=0o700)
    (home / "link").symlink_to("target")
    with pytest.raises(PathRefused):
        open_directory(str(home / "link"), refuse=PRIVATE)


def test_a_refused_directory_leaves_no_descriptor_open(home: Path) -> None:
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        with pytest.raises(PathRefused):
            open_directory(str(home / "open"), refuse=PRIVATE)
    assert len(os.listdir("/dev/fd")) == before


def test_a_path_that_is_too_long_has_an_alias_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    long = f"/{'x' * 200}/md.sock"
    monkeypatch.setattr(paths, "_has_descriptor_paths", lambda: True)
    assert socket_address(7, long) == "/proc/self/fd/7/md.sock"
    monkeypatch.setattr(paths, "_has_descriptor_paths", lambda: False)
    with pytest.raises(PathRefused) as caught:
        socket_address(7, long)
    assert "MEERKAT_RUNTIME_DIR" in caught.value.hint


def test_without_descriptor_paths_a_long_one_moves_to_a_short_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_has_descriptor_paths", lambda: False)
    monkeypatch.setattr(paths, "_owned_directory", lambda _: False)
    environ = {"HOME": "/h", "MEERKAT_RUNTIME_DIR": f"/{'x' * 120}"}
    found = places("/s", environ=environ)
    assert Path(found.runtime_dir).name.startswith("mk-")
    assert len(found.socket_path) <= paths.MAX_SOCKET_PATH
    with pytest.raises(PathRefused):
        places("/s", environ={"HOME": f"/{'y' * 120}", "MEERKAT_RUNTIME_DIR": f"/{'x' * 120}"})
