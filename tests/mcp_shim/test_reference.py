"""The reference page of the tools is what the table of tools says."""

from pathlib import Path

from rkat_shims.mcp.reference import page
from rkat_shims.mcp.tools import TOOLS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date():
    written = (ROOT / "docs/reference/mcp.md").read_text()
    assert page() == written, "run python -m rkat_shims.mcp.reference > docs/reference/mcp.md"


def test_every_tool_says_what_it_does():
    assert all(tool.summary.endswith(".") and tool.title for tool in TOOLS)
    assert len({tool.name for tool in TOOLS}) == len(TOOLS)
