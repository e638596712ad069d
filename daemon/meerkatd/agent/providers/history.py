"""From the transcript to what every provider accepts: strict alternation of user and assistant. No I/O.

A transcript is a record of what happened, also of what went wrong; providers refuse such a history outright. So here,
once for all formats:

* what the user's side says in a row becomes one step: prompts, notices and tool results; an assistant's rows likewise;
* an answer that was cut off before anything came is left out;
* a tool call without a result gets a result that says so, in the step that follows; a result without a call becomes
  plain text;
* the first step is the user's, and no text is empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ...contract.message import AssistantBlock, Content, ContentBlock, Message, ToolResult
from ..images import NOT_SHOWN, Image

NO_RESULT = "This call has no result: the turn ended before it ran to its end."
EARLIER = "(The beginning of this conversation is not shown.)"
EMPTY = "(empty)"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one tool call, as text."""

    call_id: str
    name: str
    text: str
    is_error: bool


@dataclass(slots=True)
class UserStep:
    """Results first, then images, then texts: the order that every provider wants."""

    results: list[Result] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class AssistantStep:
    blocks: list[AssistantBlock] = field(default_factory=list)


Step = UserStep | AssistantStep


def plain_text(content: Content) -> str:
    """The text of a message's content."""
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] if block["type"] == "text" else NOT_SHOWN for block in content)


def steps_of(messages: Sequence[Message], images: Mapping[str, Image] = MappingProxyType({})) -> list[Step]:
    """The history as alternating steps; begins with a `UserStep` and has no call without a result."""
    steps: list[Step] = []
    for message in messages:
        _append(steps, message, images)
    _settle(steps)
    if not steps or isinstance(steps[0], AssistantStep):
        steps.insert(0, UserStep(texts=[EARLIER if steps else EMPTY]))
    for step in steps:
        if isinstance(step, UserStep) and not (step.results or step.images or step.texts):
            step.texts.append(EMPTY)
    return steps


def _append(steps: list[Step], message: Message, images: Mapping[str, Image]) -> None:
    if message["role"] == "system":
        return
    if message["role"] == "block_assistant":
        blocks = [block for block in message["blocks"] if _says_something(block)]
        if any(block["block_type"] != "reasoning" for block in blocks):
            _assistant(steps).blocks.extend(blocks)
        return
    step = _user(steps)
    if message["role"] == "tool_results":
        _add_results(steps, step, message["results"])
        return
    text = message["body"] if message["role"] == "system_notice" else _take_images(step, message["content"], images)
    if text.strip():
        step.texts.append(text)


def _take_images(step: UserStep, content: Content, images: Mapping[str, Image]) -> str:
    """Put the images of a prompt that are to be sent into its step; what is left is text."""
    if isinstance(content, str):
        return content
    rest: list[ContentBlock] = []
    for block in content:
        image = images.get(block["blob_id"]) if block["type"] == "image" else None
        if image is None:
            rest.append(block)
        else:
            step.images.append(image)
    return plain_text(rest)


def _says_something(block: AssistantBlock) -> bool:
    if block["block_type"] == "tool_use":
        return True
    return bool(block["data"].get("text", "").strip() or block["data"].get("meta"))


def _user(steps: list[Step]) -> UserStep:
    if steps and isinstance(steps[-1], UserStep):
        return steps[-1]
    step = UserStep()
    steps.append(step)
    return step


def _assistant(steps: list[Step]) -> AssistantStep:
    if steps and isinstance(steps[-1], AssistantStep):
        return steps[-1]
    step = AssistantStep()
    steps.append(step)
    return step


def _calls(step: Step | None) -> dict[str, str]:
    """Ids and names of the calls in an assistant's step."""
    if not isinstance(step, AssistantStep):
        return {}
    return {b["data"]["id"]: b["data"]["name"] for b in step.blocks if b["block_type"] == "tool_use"}


def _add_results(steps: list[Step], step: UserStep, results: Sequence[ToolResult]) -> None:
    calls = _calls(steps[-2] if len(steps) > 1 else None)
    answered = {result.call_id for result in step.results}
    for result in results:
        call_id, text = result["tool_use_id"], plain_text(result["content"]) or EMPTY
        if call_id in calls and call_id not in answered:
            answered.add(call_id)
            step.results.append(Result(call_id, calls[call_id], text, result["is_error"]))
        else:
            step.texts.append(f"(Result of an earlier tool call)\n{text}")


def _settle(steps: list[Step]) -> None:
    """Give every call a result, in the order of the calls."""
    for index in range(len(steps) - 1, -1, -1):
        calls = _calls(steps[index])
        if not calls:
            continue
        if index + 1 == len(steps):
            steps.append(UserStep())
        following = steps[index + 1]
        assert isinstance(following, UserStep)  # two assistants in a row are one step
        given = {result.call_id: result for result in following.results}
        following.results = [
            given.get(call_id, Result(call_id, name, NO_RESULT, True)) for call_id, name in calls.items()
        ]
