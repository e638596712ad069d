"""Ctrl-C at any moment of the program's first breath ends it without a word."""

import signal
import subprocess
import sys

import pytest

# Stops itself in the middle of loading the program, where its parent interrupts it.
PROGRAM = """
import builtins, os, signal, sys
from rkat.__main__ import main
real = builtins.__import__
def importing(name, *rest):
    if name.endswith({module!r}):
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest)
builtins.__import__ = importing
signal.signal(signal.SIGINT, {before})
sys.exit(main(["--help"]))
"""


def run(module: str, before: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(module=module, before=before)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("module", ["program", "typer", "errors"])
def test_ctrl_c_while_the_program_loads_prints_nothing(module: str) -> None:
    done = run(module, "signal.default_int_handler")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_an_ignored_ctrl_c_stays_ignored_while_the_program_loads() -> None:
    """A job in the background of a shell that has no job control."""
    done = run("typer", "signal.SIG_IGN")
    assert done.returncode == 0
    assert "Usage" in done.stdout or "usage" in done.stdout
