"""Install the daemon as a service of this account, look at it, and take it away: the same for every manager."""

import os
import sys
from collections.abc import Sequence

from meerkat_client._sync import BlockingClient
from meerkat_client.errors import RkatError
from meerkat_client.wire.paths import Places, places

from .. import output
from ..connection import connect
from ..options import Options
from ..stopping import stop_daemon
from ..terminal import is_terminal
from .launchd import Launchd
from .plan import Step
from .systemd import Systemd

Manager = Systemd | Launchd


def manager(where: Places) -> Manager:
    """The service manager of this system."""
    return Launchd(where, os.environ) if sys.platform == "darwin" else Systemd(where, os.environ)


def service_state(options: Options) -> dict[str, str]:
    """Whether the daemon is installed as a service, and what its manager says: for people and for checks."""
    return manager(places(options.state_root)).state()


def install(options: Options, *, sandbox: bool, yes: bool, dry_run: bool) -> bool:
    """Install and start it, once the user agrees; False when there was nothing to do.

    Raises:
        RkatError: INVALID_PARAMS for another state root than the account's, CAPABILITY_UNAVAILABLE without a manager,
            REQUEST_CANCELLED when the user does not agree.
    """
    if options.state_root is not None or "MEERKAT_STATE_ROOT" in os.environ:
        raise RkatError(
            "INVALID_PARAMS",
            "The service is that of your own state root; another one is not installed.",
            hint="Leave --state-root and MEERKAT_STATE_ROOT out. Other state roots start their daemon as before.",
        )
    where = places()
    steps = manager(where).install(sandbox=sandbox)
    if steps and _own_daemon_runs(options):
        # Files first: a client that comes in between then asks the manager, and no second daemon starts.
        at = next(number for number, step in enumerate(steps) if "enable" in step.text or "bootstrap" in step.text)
        steps.insert(at, Step("stop the daemon that a command started", lambda: stop_daemon(options, None)))
    return _carry_out(steps, "install the daemon as a service", yes=yes, dry_run=dry_run)


def uninstall(options: Options, *, yes: bool, dry_run: bool) -> bool:
    """Stop it and take it away, once the user agrees; False when it was not installed. Raises as `install`."""
    steps = manager(places(options.state_root)).uninstall()
    return _carry_out(steps, "take the service away; sessions stay", yes=yes, dry_run=dry_run)


def _own_daemon_runs(options: Options) -> bool:
    """Whether a daemon runs that no manager looks after."""
    try:
        client: BlockingClient = connect(options, start=False)
    except RkatError as error:
        # One of another version is stopped as well.
        return error.code == "VERSION_MISMATCH"
    with client:
        return not client.call("daemon/status").get("managed")


def _carry_out(steps: Sequence[Step], what: str, *, yes: bool, dry_run: bool) -> bool:
    if not steps:
        return False
    output.note(f"This will {what}:")
    for step in steps:
        output.note(f"  {step.text}")
    if dry_run:
        return True
    if not yes and not _agrees():
        raise RkatError("REQUEST_CANCELLED", "Nothing was changed.", hint="--yes goes on without asking.")
    for step in steps:
        try:
            step.carry_out()
        except OSError as error:
            raise RkatError("STORAGE_ERROR", f"Could not {step.text}: {error.strerror}.") from error
    return True


def _agrees() -> bool:
    """Whether the user, who has seen what will be done, wants it; nobody is asked where nobody could answer."""
    if not is_terminal(sys.stdin) or not is_terminal(sys.stderr):
        return False
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
