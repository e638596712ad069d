"""The stock Python SDK of the public contract, in an environment of its own: the judge that nobody here wrote.

It is installed once for each user and version and kept, because nothing of it changes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.rpc.rpc_kit import PATIENCE_SECONDS, Place

PACKAGE = "meerkat-sdk"
_INSTALL_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StockSdk:
    """One installed version."""

    version: str
    python: Path

    def run(self, program: Path, scene: str, place: Place, **variables: str) -> str:
        """Run one scene of a program that drives `rkat-rpc` by the SDK; what it printed. Fails as the program does."""
        ended = subprocess.run(
            [str(self.python), "-I", str(program), scene],
            env={**place.env, "MEERKAT_BIN_PATH": str(place.program), **variables},
            cwd=place.root,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{scene}: {ended.stderr.decode()}"
        return ended.stdout.decode()


def installed(version: str) -> StockSdk:
    """The SDK, installed now if it was not yet; the test fails when that cannot be done."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meerkatd-tests"
    name = f"{PACKAGE}-{version}-py{sys.version_info[0]}.{sys.version_info[1]}"
    home = cache / name
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Beside the final place and renamed into it, so that a half-made one is never found there.
        making = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache))
        _install(making, version)
        try:
            making.rename(home)
        except OSError:
            shutil.rmtree(making)  # Another run was faster.
    return StockSdk(version=version, python=home / "bin" / "python")


def _install(where: Path, version: str) -> None:
    venv.create(where, with_pip=False)
    python = where / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
    ended = subprocess.run(
        [*command, "--disable-pip-version-check", f"{PACKAGE}=={version}"],
        capture_output=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    if ended.returncode:
        shutil.rmtree(where)
        pytest.fail(f"{PACKAGE} {version} cannot be installed, and it is the judge here: {ended.stderr.decode()}")
