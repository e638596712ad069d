"""The system prompt of a turn, put together from those who have a say in it, in an order that does not change.

    the session's own ─► the project's AGENTS.md ─► how to use tools ─► additional instructions of session and turn

What is the same for all turns of a session stands in front, so that a provider's cache serves it.
"""

from ..agent.agents import AgentDefaults
from ..agent.project_file import NAME
from .meta import SessionMeta
from .request import AgentOptions


def system_prompt(meta: SessionMeta, options: AgentOptions, defaults: AgentDefaults, *, with_tools: bool) -> str | None:
    """The whole of it; None for none."""
    parts = [meta.system_prompt]
    if meta.project is not None and meta.project.text.strip():
        parts.append(f"Instructions of the project, from its {NAME}:\n\n{meta.project.text.strip()}")
    if with_tools:
        parts.append(defaults.tool_instructions)
    parts.extend(meta.additional_instructions)
    # The first turn's request is that of the session.
    parts.extend(each for each in options.additional_instructions or () if each not in meta.additional_instructions)
    given = [part for part in parts if part]
    return "\n\n".join(given) if given else None
