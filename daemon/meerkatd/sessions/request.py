"""What comes with a request about sessions: who asks, what they say about the agent, and their idempotency key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..agent.credentials import Credentials
from ..agent.limits import Limits
from ..agent.project_file import ProjectInstructions
from ..contract.tool import ToolLevel
from ..contract.turn import Holder
from ..store.api import KeyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: shown as a turn's holder, and whose keys its turns use."""

    holder: Holder
    credentials: Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What a request says about the agent; None leaves what the session (or the config) has.

    `workspace` is absolute and without links; it counts for a new session alone, and so do `project_instructions`,
    whether those of the project are to be read, and `project`, which are those that were. `most_tools` bounds
    this turn's level, also where the session or the config has chosen a higher one.
    """

    model: str | None = None
    provider: str | None = None
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    provider_params: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    structured_output_retries: int | None = None
    additional_instructions: Sequence[str] | None = None
    project_instructions: bool | None = None
    project: ProjectInstructions | None = None
    tools: ToolLevel | None = None
    most_tools: ToolLevel = "full"
    workspace: str | None = None
    turn_limits: Limits | None = None
    session_limits: Limits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """An idempotency key with the digest of the request that it stands for."""

    key: str
    method: str
    digest: str

    def row(self, *, session_id: str, turn_id: str | None, at_ms: int) -> KeyRow:
        return KeyRow(
            key=self.key,
            method=self.method,
            digest=self.digest,
            session_id=session_id,
            turn_id=turn_id,
            created_ms=at_ms,
        )
