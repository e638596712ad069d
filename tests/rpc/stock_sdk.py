"""The stock Python SDK of the public contract, in an environment of its own: the judge that nobody here wrote.

It is installed once for each user and version and kept, because nothing of it changes.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.rpc.rpc_kit import PATIENCE_SECONDS, Place
from tests.support import installed as environments

PACKAGE = "meerkat-sdk"


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
    return StockSdk(version=version, python=environments.installed(PACKAGE, version) / "bin" / "python")
