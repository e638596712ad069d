"""What an import costs, and what a second type checker would say of the public names."""

import subprocess
import sys

import pytest

import meerkat_client

# Measured: 1 ms for the names alone. The bound allows for a machine that is busy.
NAMES_SECONDS = 0.05
HANG_SECONDS = 60


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_of_it() -> None:
    """The best of some runs: what the code costs, and not what else the machine does."""
    code = "import time; at = time.perf_counter(); import meerkat_client; print(time.perf_counter() - at)"
    assert min(float(run(code)) for _ in range(3)) < NAMES_SECONDS
    loaded = run("import sys, meerkat_client; print([m for m in sys.modules if m.startswith('meerkat_client.')])")
    assert loaded == "[]"


@pytest.mark.parametrize("module", ["blocking", "errors", "events", "results", "history"])
def test_the_blocking_client_loads_no_event_loop(module: str) -> None:
    loaded = set(run(f"import sys, meerkat_client.{module}; print(*sys.modules)").split())
    heavy = {"anyio", "asyncio", "trio", "pydantic", "ssl", "httpx2", "logging"}
    assert not loaded & {*heavy, "meerkat_client._async", "meerkat_client.types"}


def test_every_public_name_is_there() -> None:
    for name in meerkat_client.__all__:
        assert getattr(meerkat_client, name).__name__ in (name, "RkatError")
    assert set(dir(meerkat_client)) >= set(meerkat_client.__all__)
    with pytest.raises(AttributeError):
        _ = meerkat_client.Nothing
