"""What the config says about tools."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...contract.tool import ToolVerdict
from .builtin.shell import ShellSettings
from .callback import CALLBACK_TIMEOUT_SECONDS
from .mcp.spec import ServerSpec
from .toolbox import DEFAULT_TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings:
    """How tools are carried out.

    Attributes:
        callback_timeout: seconds that a client may take for one of its tools.
        default_timeout: seconds for a call of any other tool.
        policy: which tools may run, by patterns of their names.
        servers: the MCP servers of the realm, by name.
        timeouts: seconds for the tools of these names, whoever carries them out.
    """

    callback_timeout: float = CALLBACK_TIMEOUT_SECONDS
    default_timeout: float = DEFAULT_TIMEOUT_SECONDS
    timeouts: Mapping[str, float] = field(default_factory=dict)
    policy: Mapping[str, ToolVerdict] = field(default_factory=dict)
    servers: Mapping[str, ServerSpec] = field(default_factory=dict)
    shell: ShellSettings = field(default_factory=ShellSettings)

    def timeout_of(self, name: str) -> float:
        return self.timeouts.get(name, self.default_timeout)

    def callback_timeout_of(self, name: str) -> float:
        return self.timeouts.get(name, self.callback_timeout)
