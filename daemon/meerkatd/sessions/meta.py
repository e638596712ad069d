"""What a session was built with: the document that the store keeps beside its counters."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..agent.context_view import Compaction
from ..agent.project_file import ProjectInstructions
from ..contract.message import AddedMessage, Content, ContentBlock
from ..contract.tool import Task, ToolLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMeta:
    """A session's build.

    Attributes:
        model, provider: as `session/read` shows them; a turn resolves them again, with the keys of its caller.
        title: the first words of its first prompt.
        output_schema: what the answer of each turn has to be, as the request said it.
        structured_output_retries: how often an answer that does not fit is asked for again.
        project: the project's own instructions, as they were when it was created.
        additional_instructions: said with the system prompt of each turn.
        tools: level of its built-in tools; None for the config's.
        workspace: the folder of its tools for files.
        mcp: its own MCP servers, as they were described; None for one of the config that it does not want.
        tasks: its task list.
        compaction: the summary that stands for the older part of what the model sees.
        staged: the prompt of a deferred session until its first turn takes it.
        injected: messages that were added while a turn runs; its commit puts them into the transcript.
        turn_limits, session_limits: what each of its turns may use, and all of them together; see `Limits.load`.
        surface, instance_id: who created it.
        config_generation: generation of the realm's config that it was built with.
    """

    model: str
    provider: str
    title: str = ""
    system_prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    provider_params: dict[str, Any] = field(default_factory=dict)
    output_schema: dict[str, Any] | None = None
    structured_output_retries: int | None = None
    project: ProjectInstructions | None = None
    additional_instructions: Sequence[str] = ()
    tools: ToolLevel | None = None
    workspace: str | None = None
    mcp: Mapping[str, dict[str, Any] | None] = field(default_factory=dict)
    tasks: Sequence[Task] = ()
    turn_limits: dict[str, int] = field(default_factory=dict)
    session_limits: dict[str, int] = field(default_factory=dict)
    compaction: Compaction | None = None
    staged: Content | None = None
    injected: Sequence[AddedMessage] = ()
    surface: str = ""
    instance_id: str | None = None
    config_generation: int = 0

    def dump(self) -> str:
        """JSON without the fields that say nothing."""
        return json.dumps(
            {key: value for key, value in asdict(self).items() if value not in (None, "", {}, [], ())},
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @classmethod
    def load(cls, document: str) -> "SessionMeta":
        """Read what `dump` wrote; fields of later versions are left alone."""
        fields = json.loads(document)
        fields["compaction"] = Compaction.load(fields.get("compaction"))
        fields["project"] = ProjectInstructions.load(fields.get("project"))
        return cls(**{key: value for key, value in fields.items() if key in cls.__dataclass_fields__})


TITLE_CHARS = 80


def title_of(content: Content) -> str:
    """The first line of a prompt that says something, cut to a length that a list can show."""
    text = content if isinstance(content, str) else " ".join(map(_told, content))
    line = " ".join(text.split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "…"


def _told(block: ContentBlock) -> str:
    return block["text"] if block["type"] == "text" else "[image]"


def join_prompts(staged: Content, prompt: Content) -> Content:
    """A deferred session's prompt and that of its first turn: texts with a blank line between, blocks one after
    another."""
    if isinstance(staged, str) and isinstance(prompt, str):
        return f"{staged}\n\n{prompt}"
    return [*_blocks(staged), *_blocks(prompt)]


def _blocks(content: Content) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
