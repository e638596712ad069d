"""From a turn's meter to the store: what its calls of models cost, as rows, each written once."""

from collections.abc import Sequence

from ..agent.models import Endpoint
from ..store.api import ChargeRow, UsageTotals
from .turn_meter import Charge, TurnMeter


class Charging:
    """The charges of one turn.

    A write whose outcome is not known may be asked for again with the same rows: the store takes each of them once.
    """

    def __init__(self, meter: TurnMeter, endpoint: Endpoint, *, session_id: str, turn_id: str) -> None:
        self._meter = meter
        self._endpoint = endpoint
        self._session_id = session_id
        self._turn_id = turn_id

    def unsaved(self) -> Sequence[ChargeRow]:
        """Rows that are not durable yet, oldest first."""
        return tuple(self._row(charge) for charge in self._meter.unsaved)

    def all(self) -> Sequence[ChargeRow]:
        """Rows of all of the turn's calls."""
        return tuple(self._row(charge) for charge in self._meter.charges)

    def saved(self, rows: Sequence[ChargeRow]) -> None:
        """These, which `unsaved` gave, are durable now."""
        self._meter.saved(len(rows))

    def _row(self, charge: Charge) -> ChargeRow:
        return ChargeRow(
            charge_id=charge.charge_id,
            session_id=self._session_id,
            turn_id=self._turn_id,
            at_ms=charge.at_ms,
            provider=self._endpoint.provider,
            model=self._endpoint.full_name,
            usage=UsageTotals(
                input_tokens=charge.usage.input_tokens,
                output_tokens=charge.usage.output_tokens,
                cache_creation_tokens=charge.usage.cache_creation_tokens,
                cache_read_tokens=charge.usage.cache_read_tokens,
            ),
            cost_nanos=charge.cost,
            estimated=charge.estimated,
            time_ms=charge.spent.time,
            tool_calls=charge.spent.tool_calls,
        )
