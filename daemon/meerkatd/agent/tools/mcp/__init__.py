"""MCP servers as sources of tools: processes on stdio, or endpoints of streamable HTTP."""
