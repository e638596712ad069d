"""The small local model, for those who have no key: fetch what is missing, with consent where something is installed.

The model needs two things: its file, which `model_files` fetches, and the runtime, a native package in the environment
that the daemon shares with this program (a daemon that we start is run by the same interpreter). A daemon that runs
already finds a runtime that was installed later: it looks for it each time, and runs it in a process of its own.
"""

import sys

from meerkat_client.errors import RkatError

from . import output
from .terminal import can_ask, visible_line

OFFERED_NAME = "smollm2"
OFFERED = f"local/{OFFERED_NAME}"

# The keys of `model_files.KNOWN`, whose import would cost every other model 30 ms; a test compares the two.
NAMES = frozenset((OFFERED_NAME,))

RUNTIME = "xllamacpp"
# As the extra `local` of this package demands it; a test compares the two.
RUNTIME_REQUIREMENT = "xllamacpp>=2026.10"


def local_name(model: str | None, provider: str | None) -> str | None:
    """The local model that a request means, if it is one that can be fetched."""
    if model is None:
        return OFFERED_NAME if provider == "local" else None
    head, _, rest = model.rpartition("/")
    return rest if rest in NAMES and head in ("", "local") and provider in (None, "local") else None


def prepare(model: str | None, provider: str | None) -> None:
    """Have what a local model needs before the daemon is asked; does nothing for any other model.

    Raises:
        RkatError: CAPABILITY_UNAVAILABLE when the runtime is missing and nobody wants it installed; what `pull` raises.
    """
    name = local_name(model, provider)
    if name is not None:
        _ensure_runtime()
        ensure_model(name)


def offer(error: RkatError) -> bool:
    """Offer the small model to somebody without a key; True when it can be used now.

    Raises:
        RkatError: it was wanted and could not be had.
    """
    if not can_ask():
        return False
    output.note(visible_line(error.message))
    if not _yes(f"Fetch the small local model ({_megabytes(OFFERED_NAME)} MB) and use it now?"):
        return False
    _ensure_runtime()
    ensure_model(OFFERED_NAME)
    return True


def ensure_model(name: str) -> bool:
    """Fetch a model unless it is there, telling so on stderr; says whether it was fetched.

    Raises:
        RkatError: it could not be fetched.
    """
    from meerkat_client import model_files

    from .progress import Progress

    if any(known.name == name for known in model_files.installed()):
        return False
    with Progress(f"fetching {name}") as progress:
        try:
            model_files.pull(name, progress=progress)
        except model_files.PullFailed as failed:
            raise RkatError(failed.code, failed.message, hint=failed.hint) from failed
    return True


def _megabytes(name: str) -> int:
    from meerkat_client import model_files

    return round(model_files.KNOWN[name].size / 1e6)


def runtime_is_there() -> bool:
    """Whether local models can be run."""
    import importlib.util

    importlib.invalidate_caches()
    return importlib.util.find_spec(RUNTIME) is not None


def runtime_missing() -> RkatError:
    """The error that says how to install the runtime."""
    return RkatError(
        "CAPABILITY_UNAVAILABLE",
        f"Local models need {RUNTIME}, which is not installed.",
        hint=f"Install it with: {sys.executable} -m pip install '{RUNTIME_REQUIREMENT}'",
        details={"extra": "local"},
    )


def _ensure_runtime() -> None:
    import subprocess

    if runtime_is_there():
        return
    missing = runtime_missing()
    if not can_ask() or not _yes(f"Local models need the package {RUNTIME} (native code). Install it with pip?"):
        raise missing
    # What pip says is for people.
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", RUNTIME_REQUIREMENT]
    if subprocess.run(command, stdout=sys.stderr.fileno(), check=False).returncode != 0:
        raise missing


def _yes(question: str) -> bool:
    print(f"{question} [Y/n] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        print(file=sys.stderr)
        return False
    return answer.strip().lower() in ("", "y", "yes")
