"""Keeps one command and all that it starts. Run by `processes`, never imported by it; the standard library alone.

    keeper.py LIFELINE GRACE COMMAND [ARGUMENT ...]

The command gets a session of its own and our stdin, stdout and stderr. LIFELINE is the reading end of a pipe whose
other end only the daemon has: it ends when the daemon lets go of it, and when the daemon dies in whatever way. Then,
and when the command has ended, all that is left of its processes is asked to end, and after GRACE seconds made to.

On Linux we are the reaper of orphaned descendants, so that also those are found that left the command's group and whose
parents are gone; and the command gets a signal if we ourselves are killed. Elsewhere they are found as long as the
chain of their parents stands, which it does for everything but a program that makes itself a service on purpose.

A parent-death signal for the daemon itself would not do: the kernel sends it when the thread ends that made the
process, and that thread has a short life.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_LINUX = sys.platform == "linux"
_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
# As a shell tells that a command could not be started.
EXIT_NOT_STARTED = 127
EXIT_KILLED = 128 + signal.SIGKILL
_LOOK_AGAIN_SECONDS = 0.02
# Rounds of killing what is left: each may meet processes that were made during the one before.
_ROUNDS = 50


def main() -> int:
    lifeline, grace, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    _prctl(_SET_CHILD_SUBREAPER, 1)
    woken, waker = os.pipe()
    for descriptor in (woken, waker):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A Ctrl-C or a stop is for the daemon to tell, by letting go.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    child = _start(command, lifeline)
    _let_go_of_streams()
    status = _wait(child, lifeline, woken)
    return _end_all(child, status, grace)


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _start(command: list[str], lifeline: int) -> int:
    keeper = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(EXIT_NOT_STARTED)
        os.close(lifeline)
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(each, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(EXIT_NOT_STARTED)


def _let_go_of_streams() -> None:
    """Only the command has its pipes open from here on, so that their ends are its ends."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _wait(child: int, lifeline: int, woken: int) -> int | None:
    """Wait for the end of the command, or of the lifeline; the command's status, None when it still runs."""
    # Not select(), which stops at 1024: a descriptor has its number from a daemon that may have thousands open.
    waited = select.poll()
    for descriptor in (lifeline, woken):
        waited.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in waited.poll()}
        if woken in ready:
            os.read(woken, 4096)
        status = _reap(child)
        if status is not None or lifeline in ready:
            return status


def _reap(child: int) -> int | None:
    """Take in who has ended; the child's status if it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _end_all(child: int, status: int | None, grace: float) -> int:
    # Before the first signal: elsewhere than on Linux the chain of parents breaks with it.
    known = _descendants()
    for pid in known:
        _send(pid, signal.SIGTERM)
    until = time.monotonic() + grace
    while _descendants() and time.monotonic() < until:
        status = _newer(_reap(child), status)
        time.sleep(_LOOK_AGAIN_SECONDS)
    if not _LINUX and (known or status is None):
        # Whoever has lost its parent is not below us any more, but still of the command's group, or known from before.
        for pid in (-child, *known):
            _send(pid, signal.SIGKILL)
    for _ in range(_ROUNDS):
        left = _descendants()
        if not left:
            break
        for pid in left:
            _send(pid, signal.SIGKILL)
        time.sleep(_LOOK_AGAIN_SECONDS)
        status = _newer(_reap(child), status)
    status = _newer(_reap(child), status)
    if status is None:
        return EXIT_KILLED
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _newer(found: int | None, status: int | None) -> int | None:
    return found if found is not None else status


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _descendants() -> set[int]:
    """Pids of all processes below us that have not ended."""
    parents = _parents_linux() if _LINUX else _parents_ps()
    below, found = {os.getpid()}, set[int]()
    while True:
        more = {pid for pid, parent in parents.items() if parent in below} - found
        if not more:
            return found
        found |= more
        below = more


def _parents_linux() -> dict[int, int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state != b"Z":
                parents[int(name)] = int(parent)
    return parents


def _parents_ps() -> dict[int, int]:
    listed = subprocess.run(["/bin/ps", "-axo", "pid=,ppid=,stat="], capture_output=True, text=True, check=False)
    rows = [line.split() for line in listed.stdout.splitlines()]
    # The one that lists is a child of ours, too, and is gone by now.
    return {int(row[0]): int(row[1]) for row in rows if len(row) == 3 and "Z" not in row[2]}


if __name__ == "__main__":
    sys.exit(main())
