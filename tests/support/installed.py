"""Packages that nobody here wrote, each in an environment of its own, installed once for a user and version, and kept.

The environment is made elsewhere and renamed, so run its `python -m`: scripts name the place where they were made.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest

_INSTALL_SECONDS = 180.0


def installed(package: str, version: str) -> Path:
    """The folder of the environment that has this package; the test fails when it cannot be installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meerkatd-tests"
    name = f"{package}-{version}-py{sys.version_info[0]}.{sys.version_info[1]}"
    home = cache / name
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Beside the final place and renamed into it, so that a half-made one is never found there.
        making = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache))
        _install(making, package, version)
        try:
            making.rename(home)
        except OSError:
            shutil.rmtree(making)  # Another run was faster.
    return home


def _install(where: Path, package: str, version: str) -> None:
    venv.create(where, with_pip=False)
    python = where / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
    ended = subprocess.run(
        [*command, "--disable-pip-version-check", f"{package}=={version}"],
        capture_output=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    if ended.returncode:
        shutil.rmtree(where)
        pytest.fail(f"{package} {version} cannot be installed, and it is the judge here: {ended.stderr.decode()}")
