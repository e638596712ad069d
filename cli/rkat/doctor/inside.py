"""What the daemon sees: it is started if need be, for whether it can be is what most people want to know."""

from collections.abc import Iterator
from typing import Any

from meerkat_client import BlockingClient
from meerkat_client.errors import RkatError
from meerkat_client.wire.version import VERSION

from ..connection import connect
from ..options import Options
from .finding import Finding, from_error, warning, well, wrong

# `daemon/examine` has told of these, also of realms that cannot be checked at all.
_TOLD_ALREADY = frozenset(("realm.manifest", "realm.config"))


def inside(options: Options, *, start: bool, providers: bool, stores: bool) -> Iterator[Finding]:
    """Findings of a daemon that runs, and about one that does not.

    Args:
        start: start it when it does not run.
        providers: let it call the providers.
        stores: let it read every realm's store from end to end.
    """
    try:
        client = connect(options, start=start)
    except RkatError as error:
        if not start and error.code == "DAEMON_UNAVAILABLE":
            yield well("daemon", "meerkatd", "does not run")
        else:
            yield from_error("daemon", "meerkatd", error)
        return
    with client:
        status = client.call("daemon/status")
        yield from _daemon(status)
        if status.get("safe_mode"):
            # It opens no realm then, and says nothing more than that.
            return
        yield from _examined(client, providers)
        if stores:
            yield from _stores(client)


def _daemon(status: dict[str, Any]) -> Iterator[Finding]:
    pid, version = status["process"]["pid"], status["version"]
    if version != VERSION:
        yield warning(
            "version",
            f"meerkatd {version}",
            f"is not of the same version as this program, {VERSION}",
            mend="Let the installed version take over: rkat daemon restart",
        )
    if status.get("safe_mode"):
        yield wrong(
            "daemon",
            f"meerkatd {version}",
            f"is in safe mode, as pid {pid}: those before it crashed several times within a minute; it opens no realm",
            code="DAEMON_UNAVAILABLE",
            mend="See why with `rkat daemon logs`, mend it, and then: rkat daemon restart",
        )
        return
    yield well("daemon", f"meerkatd {version}", f"runs as pid {pid}, state {status['state']}")


def _examined(client: BlockingClient, providers: bool) -> Iterator[Finding]:
    try:
        yield from client.call("daemon/examine", {"providers": providers})["findings"]
    except RkatError as error:
        yield from_error("daemon", "daemon/examine", error)


def _stores(client: BlockingClient) -> Iterator[Finding]:
    for realm in client.call("realm/list")["realms"]:
        realm_id = realm["realm_id"]
        try:
            findings = client.call("realm/check", {"realm_id": realm_id})["findings"]
        except RkatError as error:
            yield from_error("realm.store", realm_id, error)
            continue
        yield from (finding for finding in findings if finding["check"] not in _TOLD_ALREADY)
