"""The leaf stays a leaf: what it imports is paid for by each of a hundred shim processes."""

import socket
import subprocess
import sys

import pytest

from meerkat_client.wire.codes import TABLE
from meerkat_client.wire.peer import peer_credentials

MODULES = ("codes", "faults", "framing", "limits", "paths", "peer", "version")
FORBIDDEN = {
    "dataclasses": "20 ms of start together with inspect",
    "inspect": "see dataclasses",
    "importlib.metadata": "20 ms, and reads the disk",
    "logging": "8 ms",
    "subprocess": "only starting a daemon needs it",
    "json": "only doors and shims that speak text need it",
    "trio": "140 ms",
    "pydantic": "100 ms",
}


def imported_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    # -I and -S: what the environment imports by itself is not ours to answer for.
    base = next(path for path in sys.path if path.endswith("client/python"))
    site = next(path for path in sys.path if path.endswith("site-packages"))
    code = f"import sys; sys.path += [{base!r}, {site!r}]\n{code}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_wire_imports_nothing_slow() -> None:
    loaded = imported_by(f"from meerkat_client.wire import {', '.join(MODULES)}")
    assert {name: why for name, why in FORBIDDEN.items() if name in loaded} == {}


def test_the_blocking_client_imports_nothing_slow() -> None:
    loaded = imported_by("import meerkat_client._sync")
    # It reads the daemon's record, which is JSON.
    assert {name: why for name, why in FORBIDDEN.items() if name in loaded and name != "json"} == {}


@pytest.mark.parametrize("code", TABLE)
def test_every_row_of_the_error_table_says_what_to_do(code: str) -> None:
    row = TABLE[code]
    assert row.hint.endswith(".")
    assert row.summary.endswith(".")
    assert 0 < row.exit < 126


def test_the_kernel_tells_who_is_at_the_other_end() -> None:
    import os

    one, two = socket.socketpair()
    with one, two:
        assert peer_credentials(one) == (os.getpid(), os.geteuid())
