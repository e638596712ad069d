"""systemd: two user units and, if that is wanted, a drop-in that makes the rest of the disk read-only.

The units say in full where socket, data and program are and what environment counts, as this shell has them: a user
manager knows neither the shell's search path nor its XDG directories, and would serve another state root.
"""

import os
import re
import shutil
import sys
from collections.abc import Mapping

from meerkat_client._service import SERVICE_UNIT, SOCKET_UNIT, manager_environment, unit_folders
from meerkat_client.errors import RkatError
from meerkat_client.wire.paths import Places

from .plan import Step, command, read, remove, remove_if_empty, run, write
from .templates import command as daemon_command
from .templates import service_environment, template

_SANDBOX = "sandbox.conf"


class Systemd:
    """The service, as systemd has it or shall have it.

    Args:
        where: of the daemon that is to be the service.
    """

    kind = "systemd"

    def __init__(self, where: Places, environ: Mapping[str, str]) -> None:
        self._where = where
        self._environ = environ
        self._manager = manager_environment(environ)
        self.folder = unit_folders(environ)[0]
        self.socket_path = f"{self.folder}/{SOCKET_UNIT}"
        self.service_path = f"{self.folder}/{SERVICE_UNIT}"
        self.sandbox_path = f"{self.folder}/{SERVICE_UNIT}.d/{_SANDBOX}"

    def state(self) -> dict[str, str]:
        """What systemd says of it: whether it is installed and enabled, and what it does."""
        if read(self.socket_path) is None:
            return {"service": "not installed"}
        about = {"service": "systemd", "unit": self.socket_path}
        for name, unit in (("socket", SOCKET_UNIT), ("process", SERVICE_UNIT)):
            words = ("systemctl", "--user", "show", "--property=ActiveState", "--property=UnitFileState", unit)
            try:
                said = dict(line.split("=", 1) for line in run(words, self._manager).splitlines() if "=" in line)
            except RkatError as error:
                return {**about, "problem": error.message}
            about[name] = said.get("ActiveState", "unknown")
            if unit == SOCKET_UNIT:
                about["enabled"] = said.get("UnitFileState", "unknown")
        return about

    def install(self, *, sandbox: bool) -> list[Step]:
        """Raises RkatError: there is no such manager here, or the sandbox does not work on this machine."""
        self._check()
        files = write(self.socket_path, self._socket_unit()) + write(self.service_path, self._service_unit())
        if sandbox:
            self._try_sandbox()
            files += write(self.sandbox_path, self._drop_in())
        else:
            files += remove(self.sandbox_path)
        steps = list(files)
        if files:
            steps.append(command(("systemctl", "--user", "daemon-reload"), self._manager))
        state = self.state()
        if files or state.get("enabled") != "enabled" or state.get("socket") not in ("active", "listening"):
            steps.append(command(("systemctl", "--user", "enable", SOCKET_UNIT), self._manager))
            # Not `start`: the socket may have moved.
            steps.append(command(("systemctl", "--user", "restart", SOCKET_UNIT), self._manager))
        return steps

    def uninstall(self) -> list[Step]:
        """Raises RkatError: there is no such manager here."""
        files = remove(self.sandbox_path) + remove(self.service_path) + remove(self.socket_path)
        if not files:
            return []
        self._check()
        folders = (
            os.path.dirname(self.sandbox_path),
            f"{self.folder}/sockets.target.wants",
            self.folder,
            os.path.dirname(self.folder),
        )
        return [
            command(("systemctl", "--user", "disable", "--now", SOCKET_UNIT, SERVICE_UNIT), self._manager),
            *files,
            *remove_if_empty(*folders),
            command(("systemctl", "--user", "daemon-reload"), self._manager),
        ]

    def _check(self) -> None:
        if shutil.which("systemctl") is None:
            raise RkatError(
                "CAPABILITY_UNAVAILABLE",
                "There is no service manager here that rkat knows.",
                hint="The daemon needs none: the first command that needs it starts it.",
            )
        run(("systemctl", "--user", "show-environment"), self._manager)

    def _socket_unit(self) -> str:
        return _with(template(f"systemd/{SOCKET_UNIT}"), "ListenStream", _escaped(self._where.socket_path))

    def _service_unit(self) -> str:
        where = self._where
        arguments = ("--state-root", where.state_root, "--runtime-dir", where.runtime_dir)
        line = " ".join(_quoted(word) for word in (*daemon_command(), *arguments))
        text = _with(template(f"systemd/{SERVICE_UNIT}"), "ExecStart", line)
        environment = [
            f"Environment={_quoted(f'{name}={value}')}" for name, value in service_environment(self._environ).items()
        ]
        return text.replace("ExecStart=", "\n".join([*environment, "ExecStart="]), 1)

    def _drop_in(self) -> str:
        where = self._where
        paths = " ".join(_quoted(path) for path in (where.state_root, where.runtime_dir))
        return f"{template(f'systemd/{_SANDBOX}')}ReadWritePaths={paths}\n"

    def _try_sandbox(self) -> None:
        """Run a process under these settings that tries to write where it may not, and where it may.

        Raises:
            RkatError: CAPABILITY_UNAVAILABLE; systemd ignores such settings without a word where it cannot obey them.
        """
        where = self._where
        settings = [line for line in self._drop_in().splitlines() if "=" in line and not line.startswith("#")]
        program = (
            "import os, sys, tempfile\n"
            "tempfile.TemporaryFile(dir=sys.argv[1]).close()\n"
            "try: tempfile.TemporaryFile(dir=os.path.expanduser('~')).close()\n"
            "except OSError: sys.exit(0)\n"
            "sys.exit('the home folder can be written')\n"
        )
        for folder in (where.state_root, where.runtime_dir):
            os.makedirs(folder, 0o700, exist_ok=True)
        properties = [f"--property={line}" for line in settings]
        words = ("systemd-run", "--user", "--wait", "--pipe", "--quiet", "--collect", *properties, "--",
                 sys.executable, "-c", program, where.state_root)  # fmt: skip
        try:
            run(words, self._manager)
        except RkatError as error:
            raise RkatError(
                "CAPABILITY_UNAVAILABLE",
                f"The sandbox does not work on this machine, so nothing was installed: {error.message}",
                hint="Install without --sandbox. Some distributions forbid the user namespaces that it needs.",
            ) from error


def _with(unit: str, key: str, value: str) -> str:
    """The unit with another value of a key that it has once."""
    return re.sub(rf"^{key}=.*$", lambda _: f"{key}={value}", unit, count=1, flags=re.MULTILINE)


def _escaped(text: str) -> str:
    """A text in which systemd sees no specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command line, as systemd reads them."""
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$" if "=" not in word else "$")
    return f'"{escaped}"' if re.search(r"[\s\"'\\;]", word) or not word else escaped
