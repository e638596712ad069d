"""The models that this daemon knows by name, and which of them could be used right now."""

from typing import Any, cast

from ..agent import models
from ..contract.model import Catalog, ModelsCatalog, ProviderModels
from ..errors import MeerkatError
from ..protocol.port import Call
from .context import Context


async def catalog(context: Context, params: ModelsCatalog, call: Call) -> Catalog:
    agents = context.realm.agents
    shape: Catalog = {
        "contract_version": context.contract_numbers,
        "providers": [_with_state(context, row) for row in models.catalog(context.realm.settings.get().models)],
    }
    try:
        default = agents.choose(model=None, provider=None, credentials=context.credentials)
    except MeerkatError:
        return shape
    shape["default"] = {"model": default.full_name, "provider": default.provider}
    return shape


def _with_state(context: Context, row: dict[str, Any]) -> ProviderModels:
    """A provider with whether a turn of this connection could use it."""
    try:
        context.realm.agents.choose(
            model=row["default_model_id"] or None, provider=row["provider"], credentials=context.credentials
        )
    except MeerkatError as error:
        return cast(ProviderModels, {**row, "configured": False, "note": error.message})
    return cast(ProviderModels, {**row, "configured": True})
