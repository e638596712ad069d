"""Which output schema a turn has: that of its request, else that of its session."""

from ..agent.agents import AgentDefaults
from ..agent.models import Endpoint
from ..agent.output_schema import OutputSchema
from ..agent.structured import StructuredOutput
from .meta import SessionMeta
from .request import AgentOptions


def structured_output(
    meta: SessionMeta, options: AgentOptions, defaults: AgentDefaults, endpoint: Endpoint
) -> StructuredOutput | None:
    """What the final answer of a turn has to be; None for any text."""
    given = options.output_schema if options.output_schema is not None else meta.output_schema
    if given is None:
        return None
    chosen = (options.structured_output_retries, meta.structured_output_retries, defaults.structured_output_retries)
    retries = next(each for each in chosen if each is not None)
    return StructuredOutput(schema=OutputSchema.parse(given), endpoint=endpoint, retries=retries)
