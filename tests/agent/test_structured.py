"""Which provider is given the schema in its own way, beside being told it in words."""

from typing import Any

import pytest

from meerkatd.agent.models import Endpoint
from meerkatd.agent.output_schema import OutputSchema
from meerkatd.agent.port import ModelRequest, ProviderKind, ToolSpec
from meerkatd.agent.structured import StructuredOutput

TOOLS = (ToolSpec(name="look", description="", input_schema={}),)
OBJECT = {"type": "object"}


@pytest.mark.parametrize(
    ("kind", "model", "url", "schema", "alone", "with_tools"),
    [
        ("openai", "gpt-5.4", "https://api.openai.com/v1", OBJECT, True, True),
        ("openai", "gpt-5.4", "https://api.openai.com/v1", {"type": "array"}, False, False),
        ("openai", "gpt-5.4", "https://gateway.example/v1", OBJECT, True, False),
        ("gemini", "gemini-3.5-flash", "", OBJECT, True, True),
        ("gemini", "gemini-2.5-pro", "", OBJECT, True, False),
        ("self_hosted", "qwen3", "http://127.0.0.1:1/v1", {"type": "array"}, True, False),
        ("local", "smollm2", "/a.gguf", OBJECT, True, False),
        ("anthropic", "claude-opus-5", "", OBJECT, False, False),
    ],
)
def test_a_format_is_used_where_it_can_be(
    kind: ProviderKind, model: str, url: str, schema: dict[str, Any], alone: bool, with_tools: bool
) -> None:
    endpoint = Endpoint(kind=kind, model=model, base_url=url, provider=kind, full_name=model)
    structured = StructuredOutput(schema=OutputSchema.parse(schema), endpoint=endpoint)
    request = ModelRequest(model=model, messages=[])
    assert (structured.shaped(request).output_format is not None) == alone
    tooled = ModelRequest(model=model, messages=[], tools=TOOLS)
    assert (structured.shaped(tooled).output_format is not None) == with_tools
