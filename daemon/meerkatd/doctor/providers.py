"""Can a turn be run: is there a model to choose, and does each provider that could be used answer and take its key?"""

from collections.abc import Sequence

import trio

from ..agent import models
from ..agent.credentials import Credentials
from ..agent.models import Endpoint
from ..agent.providers.fault import HINTS
from ..agent.reach import reach
from ..contract.finding import Finding
from ..errors import MeerkatError
from ..realms.realm import Realm


async def providers(realm: Realm, credentials: Credentials) -> list[Finding]:
    """Findings about the models that a turn of this realm and these keys could use."""
    findings = [_default(realm, credentials)]
    endpoints = _endpoints(realm, credentials)
    async with trio.open_nursery() as nursery:
        for endpoint in endpoints:
            nursery.start_soon(_look, endpoint, findings)
    return sorted(findings, key=lambda finding: (finding["check"], finding["subject"]))


def _default(realm: Realm, credentials: Credentials) -> Finding:
    try:
        endpoint = realm.agents.choose(model=None, provider=None, credentials=credentials)
    except MeerkatError as error:
        return {
            "check": "model.default",
            "level": "error",
            "subject": realm.realm_id,
            "message": error.message,
            "code": error.code,
            "mend": error.hint,
        }
    return {
        "check": "model.default",
        "level": "ok",
        "subject": realm.realm_id,
        "message": f"turns that name no model use {endpoint.full_name}",
    }


def _endpoints(realm: Realm, credentials: Credentials) -> Sequence[Endpoint]:
    """One endpoint of each provider that could be used; those without a key are nobody's fault."""
    found: dict[tuple[str, str], Endpoint] = {}
    for row in models.catalog(realm.settings.get().models):
        for model in [row["default_model_id"], *(each["id"] for each in row["models"])]:
            try:
                endpoint = realm.agents.choose(model=model, provider=row["provider"], credentials=credentials)
            except MeerkatError:
                continue
            found.setdefault((endpoint.provider, endpoint.base_url), endpoint)
    return list(found.values())


async def _look(endpoint: Endpoint, findings: list[Finding]) -> None:
    if endpoint.kind == "local":
        findings.append(
            {
                "check": "provider.reach",
                "level": "ok",
                "subject": endpoint.full_name,
                "message": f"is on this machine: {endpoint.base_url}",
            }
        )
        return
    result = await reach(endpoint)
    subject = f"{endpoint.full_name.split('/')[0]} at {endpoint.base_url}"
    if result.fault is None:
        findings.append(
            {
                "check": "provider.reach",
                "level": "ok",
                "subject": subject,
                "message": f"{result.message}, {result.milliseconds} ms",
            }
        )
        return
    findings.append(
        {
            "check": "provider.reach",
            "level": "error",
            "subject": subject,
            "message": result.message,
            "code": "PROVIDER_ERROR",
            "mend": HINTS[result.fault],
        }
    )
