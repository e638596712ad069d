"""A real user manager of systemd, in namespaces of its own, with a home of its own; see manager.sh."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("manager.sh")
# No account has it, so nothing of anybody's can be met.
UID = 61001
PATIENCE_SECONDS = 90.0


# The namespaces end with their last process, the control group does not.
_REMOVE_GROUPS = """
mount --make-rprivate / && mount -t cgroup2 cgroup2 /mnt || exit 1
for try in 1 2 3 4 5 6 7 8 9 10; do
    find "/mnt/meerkat-$1" -depth -type d -exec rmdir {} + 2> /dev/null
    [ -e "/mnt/meerkat-$1" ] || exit 0
    sleep 0.1
done
exit 1
"""


class Said(NamedTuple):
    status: int
    text: str


class UserManager:
    """The manager. A context manager; leaving it ends every process in its namespace.

    Attributes:
        home: of the user.
    """

    def __init__(self, *, model_url: str) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="sd-"))
        self._root.chmod(0o755)
        self.home = self._root / "home"
        self.home.mkdir()
        os.chown(self.home, UID, UID)
        for name in ("in", "out"):
            os.mkfifo(self._root / name)
        folder = str(Path(sys.executable).parent)
        self._process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--cgroup", "--mount-proc", "--kill-child"),
                *("bash", str(SCRIPT), str(UID), str(self.home), str(self._root), sys.base_prefix),
            ],
            env={**os.environ, "TEST_PATH": f"{folder}:/usr/bin:/bin", "TEST_MODEL_URL": model_url},
            stdout=subprocess.DEVNULL,
            stderr=(self._root / "script.log").open("w"),
        )
        try:
            assert self._answer().text == "ready\n", self.logs()
        except BaseException as error:
            logs = self.logs()
            self.close()
            raise AssertionError(f"the manager does not start:\n{logs}") from error

    def run(self, line: str) -> Said:
        """Run a line of shell as the user; its status and all that it wrote."""
        fd = os.open(self._root / "in", os.O_WRONLY)
        with open(fd, "w") as file:
            file.write(f"{line}\n")
        return self._answer()

    def ok(self, line: str) -> str:
        """Run a line that has to succeed; what it wrote."""
        said = self.run(line)
        assert said.status == 0, f"{line}: {said}\n{self.logs()}"
        return said.text

    def show(self, unit: str, name: str) -> str:
        return self.ok(f"systemctl --user show --value --property={name} {unit}").strip()

    def wait_for(self, unit: str, name: str, value: str) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while (found := self.show(unit, name)) != value:
            assert time.monotonic() < until, f"{unit} has {name}={found}, not {value}\n{self.logs()}"

    def logs(self) -> str:
        names = ("script.log", "manager.log")
        return "\n".join((self._root / name).read_text()[-3000:] for name in names if (self._root / name).exists())

    def _answer(self) -> Said:
        """What comes through the fifo: everything up to its end."""
        done = subprocess.run(
            ["cat", str(self._root / "out")], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
        )
        text, mark, status = done.stdout.rpartition("-- ")
        return Said(int(status), text) if mark else Said(0, done.stdout)

    def close(self) -> None:
        # The end of the namespace's first process is the end of all of them.
        self._process.kill()
        self._process.wait()
        subprocess.run(["unshare", "--mount", "sh", "-c", _REMOVE_GROUPS, "sh", self._root.name], check=True)
        shutil.rmtree(self._root, ignore_errors=True)

    def __enter__(self) -> "UserManager":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def why_not() -> str | None:
    """What is missing for this on this machine; None when it can be had."""
    for program in ("systemd", "systemctl", "systemd-analyze", "unshare", "setpriv"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    if os.geteuid() != 0:
        return "only root can make these namespaces"
    probe = ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--mount-proc", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"namespaces are refused: {done.stderr.strip()}" if done.returncode else None
