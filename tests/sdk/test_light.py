"""What an import costs, and what a second type checker would say of the public names."""

import subprocess
import sys

import pytest

import meerkat_client

HANG_SECONDS = 60
HEAVY = frozenset(("anyio", "asyncio", "trio", "pydantic", "ssl", "httpx2", "logging"))


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_of_it() -> None:
    """What it costs is what it loads: nothing of ours, and of the standard library next to nothing."""
    loaded = run("import sys, meerkat_client; print([m for m in sys.modules if m.startswith('meerkat_client.')])")
    assert loaded == "[]"
    others = set(run("import sys, meerkat_client; print(*sys.modules)").split())
    assert not others & {*HEAVY, "cbor2", "json", "socket", "dataclasses", "inspect"}


@pytest.mark.parametrize("module", ["blocking", "errors", "events", "results", "history"])
def test_the_blocking_client_loads_no_event_loop(module: str) -> None:
    loaded = set(run(f"import sys, meerkat_client.{module}; print(*sys.modules)").split())
    assert not loaded & {*HEAVY, "meerkat_client._async", "meerkat_client.types"}


def test_every_public_name_is_there() -> None:
    for name in meerkat_client.__all__:
        assert getattr(meerkat_client, name).__name__ in (name, "RkatError")
    assert set(dir(meerkat_client)) >= set(meerkat_client.__all__)
    with pytest.raises(AttributeError):
        _ = meerkat_client.Nothing
