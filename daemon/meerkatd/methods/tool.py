"""Callback tools: a client offers what it can carry out."""

from ..agent.port import ToolSpec
from ..contract.tool import ToolsRegister, ToolsRegistered
from ..protocol.port import Call
from .context import Context, PeerToolHost


async def register(context: Context, params: ToolsRegister, call: Call) -> ToolsRegistered:
    if context.tool_host is None:
        context.tool_host = PeerToolHost(context.peer)
    specs = [
        ToolSpec(name=tool.name, description=tool.description, input_schema=tool.input_schema) for tool in params.tools
    ]
    context.realm.tools.register(specs, context.tool_host)
    return {"registered": len(specs)}
