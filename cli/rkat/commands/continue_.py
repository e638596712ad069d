"""`rkat continue`: another turn in the session that was used last."""

import typer

from ..budgets import MaxCost, MaxDuration, MaxToolCalls, MaxTotalTokens, SessionBudget
from ..tree import BRANCH, Leaf
from .resume import resume
from .run import Key, MaxTokens, Model, PromptArgument, Provider, Stdin, Stream, Temperature, Tools

app = typer.Typer(**BRANCH)


@app.command(cls=Leaf)
def continue_(
    ctx: typer.Context,
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
    tools: Tools = None,
    stream: Stream = None,
    stdin: Stdin = "auto",
    idempotency_key: Key = None,
) -> None:
    """Go on with the last session: `rkat resume last`."""
    resume(
        ctx,
        "last",
        prompt,
        model=model,
        provider=provider,
        max_tokens=max_tokens,
        temperature=temperature,
        max_duration=max_duration,
        max_tool_calls=max_tool_calls,
        max_total_tokens=max_total_tokens,
        max_cost=max_cost,
        session_budget=session_budget,
        tools=tools,
        stream=stream,
        stdin=stdin,
        idempotency_key=idempotency_key,
    )
