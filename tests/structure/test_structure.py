"""The shape of the project: who may import whom, what a start may cost, what is generated, and what nobody may find."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meerkat_client.wire.codes import TABLE
from meerkat_client.wire.version import VERSION
from meerkatd import errors
from meerkatd.contract import emit
from meerkatd.contract.methods import METHODS, NAMES
from meerkatd.errors import MeerkatError
from meerkatd.methods.dispatch import HANDLERS

ROOT = Path(__file__).resolve().parents[2]
# A run of lint-imports or of a fresh interpreter takes a second or two.
HANG_SECONDS = 60


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)


def test_every_import_follows_the_layers():
    done = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr


# What a start may not load, and why: each of these was measured to cost more than everything else of a start together.
BUDGETS = [
    (
        "meerkat_client.wire.framing",
        {"dataclasses", "importlib.metadata", "logging", "asyncio", "subprocess", "pydantic", "trio", "ssl", "http"},
    ),
    (
        "meerkat_client._sync",
        {"dataclasses", "importlib.metadata", "logging", "asyncio", "subprocess", "anyio", "pydantic", "trio", "ssl"},
    ),
    ("rkat.program", {"pydantic", "trio", "rich", "anyio", "asyncio", "ssl", "http", "meerkatd"}),
    ("meerkatd.app", {"httpx2", "openai", "anthropic", "pydantic_ai", "rich", "typer", "wsproto", "trio_websocket"}),
    ("rkat_shims.rest.__main__", {"httpx2", "mcp", "jsonschema", "tomlkit", "apsw", "rich", "typer"}),
]


@pytest.mark.parametrize(("module", "forbidden"), BUDGETS, ids=[each[0] for each in BUDGETS])
def test_a_start_loads_nothing_that_it_does_not_need(module: str, forbidden: set[str]):
    done = run(sys.executable, "-c", f"import sys, {module}; print(' '.join(sys.modules))")
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & forbidden


def test_what_is_generated_is_up_to_date():
    assert emit.stale() == []


def test_every_method_of_the_contract_has_a_handler_and_no_other():
    assert tuple(HANDLERS) == NAMES == tuple(sorted(NAMES))
    assert all(method.summary.endswith(".") for method in METHODS)


def test_every_error_class_has_a_row_and_every_row_says_what_to_do():
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MeerkatError)]
    assert {each.code for each in classes} <= set(TABLE)
    for row in TABLE.values():
        assert row.hint.endswith(".")
        assert row.summary.endswith(".")
        assert 0 < row.exit < 126
    numbers = [row.rpc for row in TABLE.values() if row.code not in ("CONFIG_CONFLICT", "BLOB_NOT_FOUND")]
    assert len(numbers) == len(set(numbers)), "only these two share a number, as existing clients know it"


def test_the_version_is_the_same_everywhere():
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()


def tracked() -> list[Path]:
    listed = run("git", "ls-files")
    assert listed.returncode == 0, listed.stderr
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_nothing_is_left_unfinished():
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "NotImplemented" + "Error"]) + r")\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix in (".py", ".md", ".toml", ".sh")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []


def test_the_readme_and_ci_run_the_same_test_command():
    command = "python -m pytest -n 4"
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert command in readme
    assert command in ci
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
