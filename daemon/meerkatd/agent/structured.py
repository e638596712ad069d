"""Structured output: the final answer of a turn is one JSON value that fits a schema.

    answer ─► is it JSON? does it fit? ─► yes: the turn is done
                   │ no
                   └─► told where it does not fit, and asked again, up to `retries` times ─► STRUCTURED_OUTPUT_INVALID

The model is told the schema in the system prompt, whichever provider it is from, and what counts is our own check.
Where a provider has a response format of its own that is used as well, since it saves asking again, small models above
all. It is never relied on: formats differ in which schemas they take, most gateways and servers refuse what they do not
know, and none of them promises what JSON Schema means. A refused format is left out and told as a warning.

| provider | its own format | why |
|---|---|---|
| openai | yes | takes tools and a format together |
| gemini | yes; before Gemini 3 only without tools | those refuse both together |
| local, self_hosted, gateways | only without tools | llama.cpp refuses both together |
| anthropic | no | its format takes too small a part of JSON Schema |

All answers that did not fit, and what the model was told, stay in the transcript: it is a record of what happened.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..contract.message import StopReason
from ..contract.turn import SchemaWarning
from ..errors import ProviderError, StructuredOutputInvalid
from .models import Endpoint
from .output_schema import OutputSchema
from .port import ModelRequest, OutputFormat
from .providers.wire import MAX_ARGS_DEPTH, MAX_INTEGER_BITS, parsed_json, portable
from .schema_check import Findings, NotChecked, Problem, check_value

DEFAULT_RETRIES = 2
# Of an answer, as far as it goes into an error.
_LAST_CHARS = 100_000
_FENCE = "```"
_BEFORE_GEMINI_3 = ("gemini-1", "gemini-2")


@dataclass(slots=True, kw_only=True)
class StructuredOutput:
    """The output schema of one turn.

    Attributes:
        endpoint: the model that is asked.
        attempts: answers that were looked at.
        value: the answer that fits, once there is one.
        warnings: what the provider's own format could not do.
    """

    schema: OutputSchema
    endpoint: Endpoint
    retries: int = DEFAULT_RETRIES
    attempts: int = 0
    value: Any = None
    warnings: list[SchemaWarning] = field(default_factory=list)
    _wanted: bool = True

    def instructed(self, system: str | None) -> str:
        """The system prompt with what the model has to know about its answer."""
        told = (
            "Your final answer must be one JSON value that fits the following JSON Schema, and nothing else: no words "
            f"around it and no code fence. You may use tools before.\n\n{self.schema.text}"
        )
        return f"{system}\n\n{told}" if system else told

    def shaped(self, request: ModelRequest) -> ModelRequest:
        """The request with the provider's own response format, where that is of use."""
        if not self._wanted or not _has_format(self.endpoint, self.schema.schema, with_tools=bool(request.tools)):
            return request
        format_ = OutputFormat(name=self.schema.name, schema=self.schema.schema, strict=self.schema.strict)
        return replace(request, output_format=format_)

    def unshaped(self, request: ModelRequest, error: ProviderError) -> ModelRequest:
        """The request without the format, which the provider may have refused; from now on for the whole turn.

        Raises:
            ProviderError: `error`, when the format cannot be the cause, or is not to be left out.
        """
        if (
            request.output_format is None
            or error.details.get("kind") != "bad_request"
            or self.schema.compat == "strict"
        ):
            raise error
        self._wanted = False
        self.warnings.append({"provider": self.endpoint.provider, "path": "", "message": error.message})
        return replace(request, output_format=None)

    async def review(self, text: str, stop_reason: StopReason) -> str | None:
        """Look at a final answer. None: it fits, and `value` has it. Else what the model is to be told.

        Raises:
            StructuredOutputInvalid: it does not fit, and the model is not asked again.
        """
        self.attempts += 1
        try:
            value, findings = await self._look(text, stop_reason)
        except NotChecked as error:
            raise self._refused(text, f"The answer cannot be checked: {error}.", ()) from None
        if not findings.problems:
            self.value = value
            return None
        if self.attempts > self.retries or stop_reason in ("refusal", "content_filter"):
            raise self._refused(text, _told(findings), findings.problems)
        return _again(findings)

    async def _look(self, text: str, stop_reason: StopReason) -> tuple[Any, Findings]:
        if stop_reason in ("refusal", "content_filter"):
            return None, _one("$", "the model refused to answer")
        try:
            value = value_of(text)
        except ValueError as error:
            cut = stop_reason in ("max_tokens", "context_window_exceeded")
            return None, _one("$", "the answer was cut off at its limit of tokens; be shorter" if cut else str(error))
        return value, await check_value(value, self.schema.schema)

    def _refused(self, text: str, reason: str, problems: Sequence[Problem]) -> StructuredOutputInvalid:
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        return StructuredOutputInvalid(
            f"The model was asked {times}, and its answer does not fit the output schema: {reason}",
            details={
                "text": text[:_LAST_CHARS],
                "errors": [problem._asdict() for problem in problems],
                "extraction_error": {"attempts": self.attempts, "reason": reason},
            },
        )


def value_of(text: str) -> Any:
    """The JSON value that an answer is, alone or as its one fenced block.

    Raises:
        ValueError: it is none, or one that no message of the wire can carry.
    """
    try:
        value = parsed_json(_unfenced(text))
    except RecursionError:
        raise ValueError("the answer is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the answer is not JSON: {error.msg} at character {error.pos + 1}") from None
    if not portable(value):
        raise ValueError(
            f"the answer has a number that is not finite or has more than {MAX_INTEGER_BITS} bits, or is nested more "
            f"than {MAX_ARGS_DEPTH} levels deep"
        )
    return value


def _unfenced(text: str) -> str:
    """Small models love fences, whatever they are told."""
    before, fence, rest = text.partition(_FENCE)
    inside, closing, after = rest.partition(_FENCE)
    if not fence or before.lstrip()[:1] in ("{", "[", '"') or _FENCE in after:
        return text
    if not closing:
        return text
    language, newline, body = inside.partition("\n")
    return body if newline and language.strip().lower() in ("", "json") else inside


def _one(path: str, message: str) -> Findings:
    return Findings((Problem(path, message),), 0)


def _told(findings: Findings) -> str:
    first = findings.problems[0]
    others = len(findings.problems) - 1 + findings.more
    return f"{first.path}: {first.message}{f' (and {others} more)' if others else ''}."


def _again(findings: Findings) -> str:
    lines = [f"- {problem.path}: {problem.message}" for problem in findings.problems]
    if findings.more:
        lines.append(f"- and {findings.more} more")
    places = "\n".join(lines)
    return (
        f"The answer does not fit the output schema:\n{places}\n"
        "Answer again with the whole JSON value and nothing else."
    )


def _has_format(endpoint: Endpoint, schema: Mapping[str, Any], *, with_tools: bool) -> bool:
    if endpoint.kind == "anthropic":
        return False
    if endpoint.kind == "gemini":
        return not with_tools or not endpoint.model.startswith(_BEFORE_GEMINI_3)
    if endpoint.is_openai:
        # It refuses any other root.
        return schema.get("type") == "object"
    return not with_tools
