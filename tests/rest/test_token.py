"""The token's files, and the command line."""

import os
import stat
from pathlib import Path

import pytest

from meerkat_client.errors import RkatError
from rkat_shims.rest.options import parse
from rkat_shims.rest.token import token_in


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_token_of_its_own_is_new_each_time_and_goes_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEERKAT_RUNTIME_DIR", str(tmp_path / "run"))
    values = set()
    for address in ("127.0.0.1:80", "127.0.0.1:80", "[::1]:80"):
        with token_in(None, state_root=str(tmp_path), address=address) as token:
            values.add(token.value)
            assert len(token.value) >= 43
            assert mode(token.path) == mode(token.header_path) == 0o600
            assert mode(str(Path(token.path).parent)) == 0o700
            assert Path(token.path).read_bytes().strip() == token.value
            assert Path(token.header_path).read_bytes().strip() == b"Authorization: Bearer " + token.value
            assert token.value.decode() not in repr(token)
        assert list(Path(token.path).parent.iterdir()) == []
    assert len(values) == 3


def test_the_files_of_a_process_that_was_killed_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEERKAT_RUNTIME_DIR", str(tmp_path / "run"))
    with (
        token_in(None, state_root=str(tmp_path), address="a:1") as killed,
        token_in(None, state_root=str(tmp_path), address="a:1") as token,
    ):
        assert Path(token.path).read_bytes().strip() == token.value != killed.value


def test_a_token_file_is_made_once_and_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "t")
    with token_in(path, state_root=None, address="a:1") as first:
        assert mode(path) == 0o600
    with token_in(path, state_root=None, address="a:2") as second:
        assert second.value == first.value
    assert Path(f"{path}.header").exists()


@pytest.mark.parametrize(
    ("text", "permissions"),
    [(b"x" * 40, 0o640), (b"x" * 40, 0o604), (b"short", 0o600), (b"", 0o600), (b"x" * 40 + b" y", 0o600)],
)
def test_a_token_file_that_others_read_or_that_holds_no_token_is_refused(
    tmp_path: Path, text: bytes, permissions: int
) -> None:
    path = tmp_path / "t"
    path.write_bytes(text)
    path.chmod(permissions)
    with (
        pytest.raises(RkatError) as refused,
        token_in(str(path), state_root=None, address="a:1"),
    ):
        raise AssertionError("it was used")
    assert refused.value.code == "PERMISSION_DENIED"
    assert str(text) not in refused.value.message or not text


def test_links_folders_and_missing_folders_are_no_token_files(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x" * 40)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for path in (tmp_path / "link", tmp_path, tmp_path / "none" / "t"):
        with (
            pytest.raises(RkatError) as refused,
            token_in(str(path), state_root=None, address="a:1"),
        ):
            raise AssertionError("it was used")
        assert refused.value.code == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--realm", "r", "--isolated"],
        ["--port", "70000"],
        ["--port", "x"],
        ["--host", "0.0.0.0"],
        ["--host", "::"],
        ["--host", "192.0.2.1"],
        ["--host", "localhost"],
        ["--realm", ""],
        ["--realm-backend", "oracle"],
        ["--nonsense"],
        ["--real", "abbreviated"],
        ["word"],
    ],
)
def test_a_command_line_that_cannot_be_is_refused(arguments: list[str]) -> None:
    with pytest.raises(RkatError) as refused:
        parse(arguments, {})
    assert refused.value.code == "INVALID_PARAMS"


def test_a_command_line_says_how_the_daemon_is_reached_and_where_to_listen() -> None:
    options = parse(
        ["-r", "r", "--instance=i", "--realm-backend", "jsonl", "--state-root", "/s", "--host", "::1", "--port", "0"],
        {"RKAT_WEBHOOK_SECRET": "s"},
    )
    assert options.connect == {
        "surface": "rest",
        "name": "rkat-rest",
        "realm_id": "r",
        "instance_id": "i",
        "realm_backend": "jsonl",
        "state_root": "/s",
    }
    assert (options.host, options.port, options.webhook_secret) == ("::1", 0, b"s")
    assert "b's'" not in repr(options)
    assert parse(["--host", "0.0.0.0", "--allow-remote"], {}).host == "0.0.0.0"
    assert parse(["--allow-host", "A.example", "--allow-host", "b"], {}).allowed_hosts == ("a.example", "b")
    assert len(parse(["--context-root", "/x", "--user-config-root", "/y"], {}).notes) == 2
