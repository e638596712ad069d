"""Backends are found by name, and what a name does not bring along is said clearly."""

import subprocess
import sys
from pathlib import Path

import pytest

from meerkatd.errors import BackendUnavailable
from meerkatd.store import DEFAULT, MARKS, NAMES, backend, held


@pytest.mark.parametrize("name", ["sqlite", "jsonl", "memory"])
def test_backend_knows_its_own_name(name: str) -> None:
    assert backend(name).name == name


def test_default_is_one_of_the_names() -> None:
    assert DEFAULT in NAMES


@pytest.mark.parametrize("name", ["redb", "postgres", ""])
def test_backend_that_is_not_here_is_unavailable(name: str) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        backend(name)
    assert caught.value.details["backend"] == name
    assert "sqlite" in caught.value.details["available"]


def test_driver_is_not_imported_before_its_backend_is_asked_for() -> None:
    program = "import sys, meerkatd.store, meerkatd.store.memory; print('apsw' in sys.modules)"
    environment_path = [entry for entry in sys.path if entry]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {environment_path!r}; {program}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("name", sorted(MARKS))
async def test_a_folder_tells_whose_store_it_holds(tmp_path: Path, name: str) -> None:
    assert held(str(tmp_path)) == set()
    opened = await backend(name).open(str(tmp_path), create=True)
    await opened.aclose()
    assert held(str(tmp_path)) == {name}
