"""`rkat resume`: another turn in a session."""

from typing import Any

import typer

from .. import local_setup
from ..budgets import MaxCost, MaxDuration, MaxToolCalls, MaxTotalTokens, SessionBudget, params_of
from ..images import with_images
from ..options import Options
from ..prompts import read_prompt
from ..references import Session
from ..schemas import read_schema
from ..tree import BRANCH, Leaf
from .run import (
    Images,
    Instructions,
    Key,
    MaxTokens,
    Model,
    PromptArgument,
    Provider,
    Schema,
    SchemaRetries,
    Stdin,
    Stream,
    Temperature,
    Tools,
    run_turn,
)

app = typer.Typer(**BRANCH)


@app.command(cls=Leaf)
def resume(
    ctx: typer.Context,
    session: Session,
    prompt: PromptArgument = None,
    model: Model = None,
    provider: Provider = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    max_duration: MaxDuration = None,
    max_tool_calls: MaxToolCalls = None,
    max_total_tokens: MaxTotalTokens = None,
    max_cost: MaxCost = None,
    session_budget: SessionBudget = None,
    image: Images = None,
    instructions: Instructions = None,
    tools: Tools = None,
    schema: Schema = None,
    schema_retries: SchemaRetries = None,
    stream: Stream = None,
    stdin: Stdin = "auto",
    idempotency_key: Key = None,
) -> None:
    """Go on with a session.

    Refused at once with SESSION_BUSY while a turn is running in it, whoever started that.
    """
    params: dict[str, Any] = {
        "session_id": session,
        "prompt": with_images(read_prompt(prompt, stdin=stdin), image or ()),
        "model": model,
        "provider": provider,
        "max_tokens": max_tokens,
        "temperature": temperature,
        **params_of(
            max_duration=max_duration,
            max_tool_calls=max_tool_calls,
            max_total_tokens=max_total_tokens,
            max_cost=max_cost,
            session_budget=session_budget,
        ),
        "additional_instructions": instructions or None,
        "tools": tools,
        "output_schema": read_schema(schema),
        "structured_output_retries": schema_retries,
        "idempotency_key": idempotency_key,
    }
    params = {name: value for name, value in params.items() if value is not None}
    local_setup.prepare(model, provider)
    run_turn(Options.of(ctx), "turn/start", params, stream=stream, reference=session)
