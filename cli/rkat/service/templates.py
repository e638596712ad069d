"""The files of the service, as they are shipped, and how the places of this installation get into them."""

import os
import sys
from collections.abc import Mapping

from meerkat_client._dial import daemon_environment
from meerkat_client.errors import RkatError

# What the manager says by itself, or what the arguments say in full.
_NOT_FOR_UNITS = frozenset(
    ("HOME", "USER", "LOGNAME", "SHELL", "XDG_RUNTIME_DIR", "MEERKAT_STATE_ROOT", "MEERKAT_RUNTIME_DIR")
)


def template(name: str) -> str:
    """A shipped file, such as `systemd/meerkatd.service`: of the installed package, or of the sources.

    Raises:
        RkatError: INTERNAL_ERROR, when the installation is incomplete.
    """
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for folder in (f"{here}/share", os.path.dirname(os.path.dirname(here))):
        path = f"{folder}/{name}"
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return file.read()
    raise RkatError("INTERNAL_ERROR", f"This installation has no {name}.", hint="Install meerkatd again.")


def command() -> list[str]:
    """How to run the daemon of this installation."""
    return [sys.executable, "-P", "-m", "meerkatd"]


def service_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the daemon would get of this shell, and a service would not: the search path, proxies, places."""
    kept = daemon_environment(environ)
    return {name: value for name, value in sorted(kept.items()) if name not in _NOT_FOR_UNITS and "\n" not in value}
