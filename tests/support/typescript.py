"""The client in TypeScript, built from this source as its users build it, once for each state of it, and kept."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parents[2] / "client" / "typescript"
_BUILT_FROM = (".npmrc", "package.json", "package-lock.json", "tsconfig.json", "src")
_STEPS = (
    ("ci", "--no-audit", "--no-fund", "--loglevel=error"),
    ("run", "build"),
    # The compiler is large, and has done its part.
    ("prune", "--omit=dev", "--offline", "--no-audit", "--no-fund", "--loglevel=error"),
)
_STEP_SECONDS = 240.0


def built_client() -> Path:
    """The folder of the package, with `dist` and what it needs; the test fails when it cannot be built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meerkatd-tests"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"typescript-{_digest()}"
    # Processes that test side by side wait for the one that builds.
    with (cache / "typescript.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            # Beside the final place and renamed into it, so that a half-made one is never found there.
            making = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=cache))
            _build(making)
            making.rename(home)
    return home


def _digest() -> str:
    digest = sha256()
    for name in _BUILT_FROM:
        top = _SOURCE / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            digest.update(f"{path.relative_to(_SOURCE)}\0".encode())
            digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _build(where: Path) -> None:
    for name in _BUILT_FROM:
        copy = shutil.copytree if (_SOURCE / name).is_dir() else shutil.copyfile
        copy(_SOURCE / name, where / name)
    for step in _STEPS:
        ended = subprocess.run(["npm", *step], cwd=where, capture_output=True, timeout=_STEP_SECONDS, check=False)
        if ended.returncode:
            shutil.rmtree(where)
            said = (ended.stdout + ended.stderr).decode()
            pytest.fail(f"The client in TypeScript cannot be built by npm {step[0]}: {said}")
