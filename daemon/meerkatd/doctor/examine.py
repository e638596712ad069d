"""One examination: everything that only the daemon can see. What a client sees from outside is the client's part."""

import trio

from ..agent.credentials import Credentials
from ..contract.finding import Finding
from ..realms.realm import Realm
from ..realms.registry import Registry
from .disk import disk
from .providers import providers as examine_providers
from .realms import realms


async def examine_daemon(
    registry: Registry, *, state_root: str, realm: Realm, credentials: Credentials, providers: bool
) -> list[Finding]:
    """All findings, those that are well too.

    Args:
        realm, credentials: whose providers are looked at.
        providers: whether to call them at all.
    """
    findings = list(disk(state_root))
    for finding in realms(registry, state_root):
        findings.append(finding)
        # Each realm costs a few small reads; others are served between them.
        await trio.lowlevel.checkpoint()
    if providers:
        findings += await examine_providers(realm, credentials)
    return findings
