"""launchd: one agent, whose plist says where program and socket are."""

import os
import plistlib
import shutil
from collections.abc import Mapping
from typing import Any

from meerkat_client._service import LABEL, agent_folder
from meerkat_client.errors import RkatError
from meerkat_client.wire.paths import Places

from .plan import Step, command, read, remove, run, write
from .templates import command as daemon_command
from .templates import service_environment, template


class Launchd:
    """The service, as launchd has it or shall have it.

    Args:
        where: of the daemon that is to be the service.
    """

    kind = "launchd"

    def __init__(self, where: Places, environ: Mapping[str, str]) -> None:
        self._where = where
        self._environ = environ
        self._domain = f"gui/{os.geteuid()}"
        self.path = f"{agent_folder(environ)}/{LABEL}.plist"

    def state(self) -> dict[str, str]:
        """What launchd says of it: whether it is installed, and loaded."""
        if read(self.path) is None:
            return {"service": "not installed"}
        return {"service": "launchd", "unit": self.path, "enabled": "loaded" if self._is_loaded() else "not loaded"}

    def install(self, *, sandbox: bool) -> list[Step]:
        """Raises RkatError: there is no such manager here, or a sandbox was asked for."""
        self._check()
        if sandbox:
            raise RkatError("CAPABILITY_UNAVAILABLE", "launchd has no sandbox.", hint="Install without --sandbox.")
        files = write(self.path, self.plist())
        if not files and self._is_loaded():
            return []
        unload = [self._bootout()] if self._is_loaded() else []
        return [*files, *unload, command(("launchctl", "bootstrap", self._domain, self.path), self._environ)]

    def uninstall(self) -> list[Step]:
        """Raises RkatError: there is no such manager here."""
        files = remove(self.path)
        if not files:
            return []
        self._check()
        return [*([self._bootout()] if self._is_loaded() else []), *files]

    def plist(self) -> str:
        about: dict[str, Any] = plistlib.loads(template(f"launchd/{LABEL}.plist").encode())
        where = self._where
        arguments = ("--state-root", where.state_root, "--runtime-dir", where.runtime_dir)
        about["ProgramArguments"] = [*daemon_command(), *arguments]
        about["Sockets"]["Listeners"]["SockPathName"] = where.socket_path
        about["StandardErrorPath"] = f"{where.state_root}/log/meerkatd.stderr"
        about["EnvironmentVariables"] = service_environment(self._environ)
        return plistlib.dumps(about, sort_keys=False).decode()

    def _bootout(self) -> Step:
        return command(("launchctl", "bootout", f"{self._domain}/{LABEL}"), self._environ)

    def _is_loaded(self) -> bool:
        try:
            run(("launchctl", "print", f"{self._domain}/{LABEL}"), self._environ)
        except RkatError:
            return False
        return True

    def _check(self) -> None:
        if shutil.which("launchctl") is None:
            raise RkatError("CAPABILITY_UNAVAILABLE", "There is no launchd here.")
