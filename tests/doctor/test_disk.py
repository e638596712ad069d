"""What the doctor says about the disk of the state root; the figures are those that the file system gives."""

import os
from pathlib import Path
from typing import Any

import pytest

from meerkatd.doctor.disk import disk, file_system


def _statvfs(**changes: int) -> Any:
    fields = {"f_bavail": 10_000_000, "f_frsize": 4096, "f_files": 1_000_000, "f_favail": 900_000, **changes}

    def give(path: str) -> Any:
        return type("Found", (), fields)

    return give


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, "ok", "MB free"),
        ({"f_bavail": 30_000}, "warning", "nearly full"),
        ({"f_bavail": 100}, "error", "the disk is full, 0 MB free"),
        ({"f_favail": 3}, "error", "inodes are used up"),
        ({"f_files": 0, "f_favail": 0}, "ok", "MB free"),
    ],
)
def test_room_is_told_by_what_is_left(tmp_path: Path, changes: dict[str, int], level: str, words: str) -> None:
    (finding, *_) = disk(str(tmp_path), statvfs=_statvfs(**changes))
    assert (finding["level"], finding.get("code")) == (level, "STORAGE_FULL" if level == "error" else None)
    assert words in finding["message"]


def test_a_real_file_system_has_a_finding(tmp_path: Path) -> None:
    assert next(finding["check"] for finding in disk(str(tmp_path))) == "disk.space"


def test_the_file_system_of_a_path_is_that_of_its_longest_mount_point(tmp_path: Path) -> None:
    """Mount points are escaped in the table, and a name that only begins alike is another folder."""
    table = tmp_path / "mounts"
    table.write_text(
        "dev / ext4 rw 0 0\nhost:/x /home nfs4 rw 0 0\nhost:/y /home/a\\040b cifs rw 0 0\ntmp /homestead tmpfs rw 0 0\n"
    )
    kinds = [
        file_system(path, mounts=str(table)) for path in ("/etc", "/home/me", "/home/a b/state", "/homestead", "/homer")
    ]
    assert kinds == ["ext4", "nfs4", "cifs", "tmpfs", "ext4"]
    assert file_system("/", mounts=str(tmp_path / "none")) is None


def test_a_state_root_on_the_network_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkatd.doctor.disk.file_system", lambda path: "nfs4")
    findings = list(disk(str(tmp_path), statvfs=os.statvfs))
    assert [finding["check"] for finding in findings if finding["level"] == "warning"] == ["disk.kind"]
