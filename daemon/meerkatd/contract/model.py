"""Models that this daemon knows by name."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from .base import Params
from .capability import ContractVersion


class ModelsCatalog(Params):
    """`models/catalog`."""


class ModelInfo(TypedDict):
    id: str
    display_name: str
    tier: str
    context_window: NotRequired[int]
    max_output_tokens: NotRequired[int]
    server_id: NotRequired[str]


class ProviderModels(TypedDict):
    """One provider. `configured` says whether a turn could use it right now, and `note` what is missing if not."""

    provider: str
    default_model_id: str
    configured: bool
    note: NotRequired[str]
    models: list[ModelInfo]


class Catalog(TypedDict):
    """Result of `models/catalog`. `default` is the model that a session without a model gets; absent without any."""

    contract_version: ContractVersion
    providers: list[ProviderModels]
    default: NotRequired[dict[str, Any]]
