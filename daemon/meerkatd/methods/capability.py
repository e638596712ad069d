"""Capabilities: what this daemon can do, by the ids of the public contract."""

from ..contract.capability import Capabilities, CapabilitiesGet
from ..protocol.port import Call
from .context import Context

# Only what works: a client that finds an id here uses it without asking again.
CAPABILITIES: dict[str, str] = {
    "sessions": "Sessions with turns, history, archive and forks; one turn at a time, over all surfaces",
    "streaming": "Events of a turn while it runs, and streams of any session from any cursor",
    "structured_output": "Answers that are JSON and fit a schema, asked for again when they do not",
    "session_compaction": "Contexts that near the model's window are summarised, or on demand",
    "builtins": "Built-in tools that read, write and search the workspace's files, and a task list, by level",
    "shell": "A shell in the workspace, at the level `full`",
    "mcp_live": "Tools of MCP servers, of the realm's config and of single sessions",
    "session_store": "Sessions are stored durably, and shared by every client of their realm",
}


async def get(context: Context, params: CapabilitiesGet, call: Call) -> Capabilities:
    return {
        "contract_version": context.contract_numbers,
        "capabilities": [
            {"id": name, "description": description, "status": "Available"}
            for name, description in CAPABILITIES.items()
        ],
    }
