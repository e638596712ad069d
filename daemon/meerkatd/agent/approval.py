"""Approval of tool calls: what the policy says of a tool, and the port by which a person is asked. No I/O here.

The policy is a table of patterns over the names of tools. The longest pattern that matches decides, for it says most
about the tool; of two of one length the stricter one. What no pattern matches is allowed: somebody has chosen the level
or the server already.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Protocol

from ..contract.message import ToolUseData
from ..contract.tool import ToolVerdict

STRICTEST: tuple[ToolVerdict, ...] = ("allow", "ask", "deny")

DENIED_BY_POLICY = "The user's policy does not allow this tool; it was not run."
DENIED = "A person was asked and did not allow this call; it was not run."


class Approvals(Protocol):
    """Whoever can be asked about the calls of one turn."""

    async def ask(self, call: ToolUseData) -> str | None:
        """Wait until a person has answered: None when the call is allowed, else what the model is told.

        Cancellation: the question is withdrawn.
        """
        ...


def verdict(policy: Mapping[str, ToolVerdict], name: str) -> ToolVerdict:
    """What the policy says of the tool `name`."""
    matching = [
        (len(pattern.replace("*", "")), "*" not in pattern, STRICTEST.index(said))
        for pattern, said in policy.items()
        if fnmatchcase(name, pattern)
    ]
    return STRICTEST[max(matching)[2]] if matching else "allow"
