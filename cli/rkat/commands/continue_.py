"""`rkat continue`: another turn in the session that was used last."""

import typer

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
        tools=tools,
        stream=stream,
        stdin=stdin,
        idempotency_key=idempotency_key,
    )
